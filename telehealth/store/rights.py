"""What our role may do in PostgreSQL beyond its own database."""

import asyncio

from sqlalchemy import text

from telehealth.store.engine import Store

_ROLE = text(
    "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
    "FROM pg_roles WHERE rolname = current_user"
)
_NAMES = ("superuser", "createrole", "createdb", "replication", "bypassrls")
_MEMBER = text(
    "SELECT rolname FROM pg_roles WHERE rolname IN ('pg_execute_server_program', 'pg_read_server_files', "
    "'pg_write_server_files', 'pg_read_all_data', 'pg_write_all_data') AND pg_has_role(current_user, oid, 'MEMBER')"
)


async def excess(url: str) -> tuple[str, ...]:
    """Attributes and memberships of the role that this server never needs.

    Raises ValueError for a URL of nothing, and sqlalchemy's DBAPIError or OSError where the database does not answer.
    """
    store = await asyncio.to_thread(Store.open, url)
    try:
        async with store.read() as connection:
            held = (await connection.execute(_ROLE)).one()
            found = tuple(name for name, has in zip(_NAMES, held, strict=True) if has)
            return found or tuple((await connection.execute(_MEMBER)).scalars())
    finally:
        await store.close()
