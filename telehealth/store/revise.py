"""`python -m telehealth.store.revise MESSAGE`: write the next migration, from what the last one left to `tables.py`."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from telehealth.store.engine import alembic_config


def revise(message: str) -> None:
    """Read the new file before it is committed: it is a draft."""
    config = alembic_config()
    last = ScriptDirectory.from_config(config).get_current_head() or "0000"
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'draft.db'}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            if last != "0000":
                command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=f"{int(last) + 1:04d}")
        engine.dispose()


if __name__ == "__main__":
    revise(" ".join(sys.argv[1:]))
