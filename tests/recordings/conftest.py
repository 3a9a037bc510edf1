"""A studio for each test, on a disk of its own."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from recording_studio import Studio

from recordings.vault.disk import DiskVault


@pytest.fixture(autouse=True)
def logs_are_plain() -> Iterator[None]:
    """Logging reads no source files for pretty traces while the event loop runs."""
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=io.StringIO()),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    vault = DiskVault(tmp_path / "vault")
    yield Studio(tmp_path / "vault", vault)
    await vault.close()
