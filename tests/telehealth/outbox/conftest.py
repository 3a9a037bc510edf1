"""An outbox over its own database and log, and partners that speak SMTP and HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from outbox_parts import PostOffice, SteppedClock

from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog, Limits
from telehealth.secret import Secret
from telehealth.store.engine import Store


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    clock = SteppedClock()
    store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/telehealth.db")
    await store.migrate()
    audit = await AuditLog.open(
        tmp_path / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(tmp_path / "detail-keys", Secret(b"w" * 32)),
        clock=clock,
        origin="log.example/audit",
        limits=Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005),
    )
    yield PostOffice(store, audit, clock, tmp_path)
    await audit.close()
    await store.close()
