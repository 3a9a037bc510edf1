"""Which of many tokens belong to links: one question for all."""

from collections.abc import Collection

from sqlalchemy import select, union_all

from telehealth.store.engine import Connection
from telehealth.store.links import Found, by_id
from telehealth.store.tables import link_spares, links


async def by_tokens(c: Connection, hashes: Collection[bytes]) -> dict[bytes, Found]:
    """The links of those of the tokens that have one; guesses cost nothing but their place in the question."""
    first = select(links.c.token_hash, links.c.id).where(links.c.token_hash.in_(hashes))
    spare = select(link_spares.c.token_hash, link_spares.c.link_id).where(link_spares.c.token_hash.in_(hashes))
    found: dict[bytes, Found] = {}
    for token, link in await c.execute(union_all(first, spare)):
        row = await by_id(c, link)
        if row is not None:
            found[bytes(token)] = row
    return found
