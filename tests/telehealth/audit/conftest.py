"""A log in this test's own folder."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from audit_samples import ORIGIN, PSEUDONYMS, QUICK, SEED, WRAPPING, MovedClock, OpenLog

from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def open_log(tmp_path: Path, clock: MovedClock) -> AsyncIterator[OpenLog]:
    """Opens the log of this test; closes what the test left open."""
    opened: list[AuditLog] = []

    async def opening(**changes: Any) -> AuditLog:
        named: dict[str, Any] = {
            "signing_key": SEED,
            "pseudonym_key": PSEUDONYMS,
            "detail_keys": FileDetailKeys(tmp_path / "detail-keys", WRAPPING),
            "clock": clock,
            "origin": ORIGIN,
            "limits": QUICK,
        }
        log = await AuditLog.open(tmp_path / "audit", **{**named, **changes})
        opened.append(log)
        return log

    yield opening
    for log in opened:
        await log.close()
