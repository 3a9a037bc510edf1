"""The names behind ids, for those who read what happened."""

from collections.abc import Iterable

from telehealth.access import SYSTEM
from telehealth.identity.people import People
from telehealth.identity.tokens import ApiTokens
from telehealth.ids import Kind, is_id


async def names_of(people: People, tokens: ApiTokens, ids: Iterable[str]) -> dict[str, str]:
    """Names of staff and labels of tokens, by id; others are left out."""
    wanted = set(ids)
    found = await people.name_of(one for one in wanted if is_id(Kind.USER, one))
    if any(is_id(Kind.TOKEN, one) for one in wanted):
        found |= {token.id: token.label for token in await tokens.list(SYSTEM) if token.id in wanted}
    return found
