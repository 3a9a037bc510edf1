"""S3 with object lock as a place for checkpoints; needs the optional package aiobotocore (for its botocore)."""

import threading
from datetime import datetime
from typing import Any

from telehealth.audit.one_thread import OneThread
from telehealth.secret import Secret

_PATIENCE = 4.0  # seconds to connect, and without an octet


class LockedBucket:
    """A bucket made with object lock. `endpoint` empty: Amazon's own; keys None: what the machine's role gives.

    Compliance mode: until the date nobody can delete or replace a version, the account's root included.
    """

    def __init__(
        self,
        bucket: str,
        region: str,
        endpoint: str = "",
        access_key: Secret[str] | None = None,
        secret_key: Secret[str] | None = None,
    ) -> None:
        self._bucket = bucket
        self._region = region
        self._endpoint = endpoint
        self._access_key = access_key
        self._secret_key = secret_key
        self._made: Any = None  # botocore's client, shared by threads
        self._turn = threading.Lock()
        self._thread = OneThread("audit anchor s3")

    async def put_locked(self, key: str, content: bytes, until: datetime) -> None:
        """Raises OSError, whatever the store said."""
        await self._thread.run(lambda: self._put(key, content, until))

    def _put(self, key: str, content: bytes, until: datetime) -> None:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types
        except ImportError as error:
            raise OSError("object storage needs the package aiobotocore: pip install 'telehealth[aws]'") from error
        try:
            self._client().put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ChecksumAlgorithm="SHA256",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=until,
            )
        except (BotoCoreError, ClientError) as error:
            raise OSError(f"object storage: {type(error).__name__}") from error

    def _client(self) -> Any:
        from botocore.config import Config  # type: ignore[import-untyped]  # has no types
        from botocore.session import get_session  # type: ignore[import-untyped]  # has no types

        with self._turn:
            if self._made is None:
                keys: dict[str, str] = {}
                if self._access_key is not None and self._secret_key is not None:
                    keys = {
                        "aws_access_key_id": self._access_key.reveal(),
                        "aws_secret_access_key": self._secret_key.reveal(),
                    }
                self._made = get_session().create_client(
                    "s3",
                    region_name=self._region,
                    endpoint_url=self._endpoint or None,
                    config=Config(connect_timeout=_PATIENCE, read_timeout=_PATIENCE, retries={"total_max_attempts": 2}),
                    **keys,
                )
            return self._made
