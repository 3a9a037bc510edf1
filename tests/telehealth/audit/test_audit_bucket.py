"""Checkpoints in a bucket with object lock: a server that answers as S3 does, and none."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from audit_samples import SEED, OpenLog, an_entry
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from moto.server import ThreadedMotoServer

from telehealth.audit.anchor_bucket import LockedBucket
from telehealth.audit.anchoring import LockedPlace
from telehealth.clock import SystemClock
from telehealth.secret import Secret

KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


async def test_a_checkpoint_in_a_locked_bucket_cannot_be_deleted(open_log: OpenLog, endpoint: str) -> None:
    def client() -> object:
        return get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=endpoint,
            config=Config(retries={"total_max_attempts": 1}),
            **KEYS,
        )

    s3 = await asyncio.to_thread(client)
    await asyncio.to_thread(s3.create_bucket, Bucket="anchors", ObjectLockEnabledForBucket=True)
    log = await open_log()
    await log.enter(an_entry())
    bucket = LockedBucket("anchors", "us-east-1", endpoint, Secret("a"), Secret("b"))
    await LockedPlace(bucket, "checkpoints/", 30, SystemClock()).keep(log.signed())
    listed = await asyncio.to_thread(s3.list_object_versions, Bucket="anchors")
    (version,) = listed["Versions"]
    where = {"Bucket": "anchors", "Key": version["Key"], "VersionId": version["VersionId"]}
    got = await asyncio.to_thread(lambda: s3.get_object(**where)["Body"].read())
    assert got == log.signed().note
    with pytest.raises(ClientError, match="AccessDenied"):
        await asyncio.to_thread(s3.delete_object, **where)
    with pytest.raises(OSError, match="object storage"):
        await LockedBucket("elsewhere", "us-east-1", endpoint, Secret("a"), Secret("b")).put_locked(
            "k", SEED.reveal(), datetime.now(UTC) + timedelta(days=1)
        )
