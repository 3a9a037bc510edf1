"""What is sent about a copy: the clinic, the link or the code, and never a word about whom or why."""

from telehealth.outbox.messages import Message
from telehealth.secret import Secret

_LINK = {
    "en": (
        "Your recording from {clinic}",
        "The copy of your video visit with {clinic} that was asked for is ready. Open this link within {days} days:\n"
        "{url}\n\nThe page sends you a code first. The link is for you alone. If nobody asked for a copy, please tell "
        "the clinic.",
    ),
    "ar": (
        "تسجيلك من {clinic}",
        "نسخة تسجيل زيارتك المرئية مع {clinic} التي طُلبت أصبحت جاهزة. افتح هذا الرابط خلال {days} أيام:\n"
        "{url}\n\nسترسل لك الصفحة رمزًا أولًا. الرابط لك وحدك. إذا لم يطلب أحد نسخة فأخبر العيادة من فضلك.",
    ),
}
_CODE = {
    "en": (
        "Your code for {clinic}",
        "{code} is your code for the copy of your recording from {clinic}. It is valid for {minutes} minutes. "
        "Nobody from the clinic will ever ask you for it.",
    ),
    "ar": (
        "رمزك من {clinic}",
        "{code} هو رمزك لنسخة تسجيلك من {clinic}. صالح لمدة {minutes} دقائق. لن يطلبه منك أحد من العيادة أبدًا.",
    ),
}


def link_message(language: str, clinic: str, url: Secret[str], days: int) -> Message:
    subject, text = _LINK.get(language, _LINK["en"])
    return Message(text.format(clinic=clinic, url=url.reveal(), days=days), subject.format(clinic=clinic))


def code_message(language: str, clinic: str, code: Secret[str], minutes: int) -> Message:
    """The subject does not hold the code, since subjects show on locked screens."""
    subject, text = _CODE.get(language, _CODE["en"])
    return Message(text.format(clinic=clinic, code=code.reveal(), minutes=minutes), subject.format(clinic=clinic))
