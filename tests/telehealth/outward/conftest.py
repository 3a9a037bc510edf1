"""A log in this test's own folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from outward_samples import open_log

from telehealth.audit.log import AuditLog


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AuditLog]:
    opened = await open_log(tmp_path)
    yield opened
    await opened.close()
