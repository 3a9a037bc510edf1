"""The words people agree to."""

from typing import Annotated

from pydantic import StringConstraints

from telehealth.visits.texts import consent_text
from telehealth.web.models import Asked, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who


class TextQuery(Asked):
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")] = "en"


class ConsentTold(Told):
    version: str
    language: str
    text: str
    sha256: str


async def show_consent_text(ask: Ask[Nothing, TextQuery]) -> Answer:
    """The present consent text in the language nearest to the one asked for."""
    return Answer(ConsentTold.model_validate(consent_text(ask.query.language)))


ROUTES = (Route("GET", "/api/v1/texts/consent", show_consent_text, Who.ANYONE, "texts", ConsentTold, query=TextQuery),)
