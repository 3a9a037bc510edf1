"""Run by Alembic: migrations go over the connection that `Store.migrate` hands in."""

from typing import Any, Literal

from alembic import context
from sqlalchemy.sql.elements import False_, True_

from telehealth.store.tables import UtcTime, metadata


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Migrations stand on their own: they name no type of ours, and no engine's way of saying yes and no."""
    if kind == "server_default" and isinstance(getattr(item, "arg", None), False_ | True_):
        return "sa.false()" if isinstance(item.arg, False_) else "sa.true()"
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
