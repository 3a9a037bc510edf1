"""What people consent to, word for word. A text once shown is never edited: a change is a new version."""

import hashlib
from dataclasses import dataclass
from typing import Final

from telehealth.errors import NotFound

VERSION: Final = "1"

_TEXTS: Final[dict[tuple[str, str], str]] = {
    ("1", "en"): (
        "You are asked to agree that this visit is recorded in picture and sound. "
        "Recording starts only when everyone present has said yes. "
        "The recording is kept encrypted by the clinic for the time and the purpose shown here; every viewing is "
        "entered in a log, and after that time it is deleted. "
        "You are free to say no: the visit goes on without a recording and nothing else changes for you. "
        "You may withdraw at any time with one tap: from that moment nothing more is recorded of anyone. "
        "What was recorded until then stays with the clinic, which you may ask to delete it."
    ),
    ("1", "ar"): (
        "نطلب موافقتك على تسجيل هذه الزيارة بالصوت والصورة. "
        "لا يبدأ التسجيل إلا بعد موافقة جميع الحاضرين. "
        "تحتفظ العيادة بالتسجيل مشفّرًا للمدة وللغرض المبيّنين هنا، وتُدوَّن كل مشاهدة له في سجل، ثم يُحذف بعد انقضاء المدة. "
        "لك كامل الحرية في الرفض: تستمر الزيارة دون تسجيل ولا يتغيّر أي شيء آخر بالنسبة إليك. "
        "يمكنك سحب موافقتك في أي وقت بلمسة واحدة، ومنذ تلك اللحظة لا يُسجَّل أي شيء آخر لأي شخص. "
        "أما ما سُجِّل حتى ذلك الحين فيبقى لدى العيادة، ولك أن تطلب منها حذفه."
    ),
}


@dataclass(frozen=True, slots=True)
class ConsentText:
    """One text in one language; `sha256` is hex over its UTF-8."""

    version: str
    language: str
    text: str
    sha256: str


def languages() -> tuple[str, ...]:
    """The languages of the present version, best known first."""
    return tuple(language for version, language in _TEXTS if version == VERSION)


def consent_text(language: str, version: str = VERSION) -> ConsentText:
    """The text for a BCP 47 tag, by its primary language, else in English. Raises NotFound for an unknown version."""
    primary = language.partition("-")[0].lower()
    for candidate in (primary, "en"):
        text = _TEXTS.get((version, candidate))
        if text is not None:
            return ConsentText(version, candidate, text, hashlib.sha256(text.encode()).hexdigest())
    raise NotFound
