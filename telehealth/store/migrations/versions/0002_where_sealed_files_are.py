"""Where sealed files are: here, on their way, or in the store elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.add_column(sa.Column("place", sa.String(length=16), server_default="local", nullable=False))
        batch_op.create_index(batch_op.f("ix_files_place"), ["place"], unique=False)
