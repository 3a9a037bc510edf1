"""A PostgreSQL server for tests. It refuses root, so root starts it as the user that the package made."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests.partners.ceph import found
from tests.partners.process import LONGEST, Partner, free_port

_USER = "postgres"
_BINARIES = Path("/usr/lib/postgresql")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=60", "shared_buffers=32MB")


class Postgres:
    """One server; every test gets a database of its own, copied from a template in some 30 ms."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(
            tempfile.mkdtemp(prefix="telehealth-postgres-")
        )  # pytest's own folders are closed to others
        if os.geteuid() == 0:
            os.chown(self._folder, pwd.getpwnam(_USER).pw_uid, -1)
        data = str(self._folder / "data")
        words = (program("initdb"), "-A", "trust", "-U", _USER, "-E", "UTF8", "--no-sync", "-D", data)
        subprocess.run([*_as_user(), *words], capture_output=True, check=True, cwd=self._folder, timeout=LONGEST)
        settings = [word for setting in _FAST for word in ("-c", setting)]
        place = ("-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder))
        self._partner = Partner([*_as_user(), program("postgres"), *place, *settings], self._folder / "log")
        self._partner.wait(self._ready)
        self._made = 0

    def url(self, name: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"

    def database(self, template: str = "template1") -> str:
        """A new database's URL. Blocks."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected. Blocks."""
        self._do(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def stop(self) -> None:
        self._partner.stop(signal.SIGINT)  # whoever is connected is cut off
        shutil.rmtree(self._folder)

    def _ready(self) -> bool:
        try:
            self._do("SELECT 1")
        except OperationalError:
            return False
        return True

    def _do(self, statement: str) -> None:
        place = self.url("postgres").replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(place, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def _as_user() -> list[str]:
    """Words that come before a command of the server."""
    return [found("setpriv"), f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []


def program(name: str) -> str:
    """Debian keeps the server's programs off the path, by version; the newest is taken."""
    versions = sorted(_BINARIES.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else found(name)
