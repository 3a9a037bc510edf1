"""Run by Alembic: migrations go over the connection that `Store.migrate` hands in."""

from alembic import context

from telehealth.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
