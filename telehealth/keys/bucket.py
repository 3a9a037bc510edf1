"""The bytes of a bucket of key shares. Pure: no disk, no provider.

    magic "THKB" | version u8 = 1 | header length u32 big-endian | header | nonce 12 | AES-256-GCM(data key, shares)

The header is JSON (ASCII, no spaces, members in the order of `Header`) with
    bucket    bkt_…                            epoch     name of the provider's key this generation hangs on
    day       capture day, YYYY-MM-DD          class     retention class        held   true in a bucket of held shares
    files     file ids, sorted                 revision  1, 2, … within one epoch
    wrapped   the data key (32 bytes), wrapped by the epoch key with context bind("telehealth/bucket/1", bucket), in hex
The plaintext is one 32-byte share for each file id, in their order. AAD is everything before the nonce, so no share can
be moved to another file, bucket, class or epoch. File ids are random and name nobody; they stand in clear so that the
index is built without asking the provider once per bucket. Nothing in a header is acted on before it authenticated.
"""

import datetime
import re
from dataclasses import dataclass, field
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telehealth.errors import Malformed
from telehealth.keys.binding import bind
from telehealth.keys.provider import UnwrapFailed
from telehealth.secret import Secret

MAGIC = b"THKB\x01"
SHARE = 32
CAPACITY = 512  # shares in one bucket: 16 KiB of shares and about as much header
_LARGEST_HEADER = 1 << 20

_FILE_ID = r"[A-Za-z0-9_.-]{1,100}"
_CLASS = r"[A-Za-z0-9_-]{1,40}"
FileId = Annotated[str, Field(pattern=f"^{_FILE_ID}$")]
RetentionClass = Annotated[str, Field(pattern=f"^{_CLASS}$")]


class Header(BaseModel):
    """What stands in clear before the shares; authenticated with them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    bucket: Annotated[str, Field(pattern=r"^bkt_[a-z2-7]{26}$")]
    epoch: Annotated[str, Field(pattern=r"^epoch-[a-z2-7]{26}$")]
    day: datetime.date
    retention_class: RetentionClass = Field(alias="class")
    held: bool
    files: tuple[FileId, ...]
    revision: Annotated[int, Field(ge=1)]
    wrapped: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,4096}$")]

    @property
    def file_name(self) -> str:
        return f"{self.bucket}.{self.epoch}.bucket"

    @property
    def wrapped_key(self) -> bytes:
        return bytes.fromhex(self.wrapped)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket opened: its header, the data key of this epoch and the shares by file id."""

    header: Header
    data_key: Secret[bytes]
    shares: dict[str, bytes] = field(repr=False)


def key_context(bucket: str) -> bytes:
    """The context a bucket's data key is wrapped with."""
    return bind("telehealth/bucket/1", bucket)


def parse_header(blob: bytes) -> tuple[Header, int]:
    """The header, not yet authenticated, and where the nonce begins. Raises Malformed."""
    if blob[:5] != MAGIC or len(blob) < 9:
        raise Malformed("bucket")
    length = int.from_bytes(blob[5:9], "big")
    if length > _LARGEST_HEADER or len(blob) < 9 + length + 28:
        raise Malformed("bucket.header_length")
    try:
        return Header.model_validate_json(blob[9 : 9 + length]), 9 + length
    except ValidationError as error:
        raise Malformed("bucket.header") from error


def open_bucket(blob: bytes, data_key: Secret[bytes]) -> Bucket:
    """The bucket in `blob`. Raises Malformed, UnwrapFailed when a single bit differs."""
    header, start = parse_header(blob)
    try:
        body = AESGCM(data_key.reveal()).decrypt(blob[start : start + 12], blob[start + 12 :], blob[:start])
    except InvalidTag as error:
        raise UnwrapFailed from error
    if len(body) != SHARE * len(header.files):
        raise Malformed("bucket.shares")
    shares = {file_id: body[SHARE * i : SHARE * (i + 1)] for i, file_id in enumerate(header.files)}
    return Bucket(header, data_key, shares)


def seal_bucket(bucket: Bucket, nonce: bytes) -> bytes:
    """Bytes for `bucket`; the nonce (12 random bytes) must be fresh for each revision."""
    header = bucket.header
    described = header.model_dump_json(by_alias=True, ensure_ascii=True).encode("ascii")
    front = MAGIC + len(described).to_bytes(4, "big") + described
    body = b"".join(bucket.shares[file_id] for file_id in header.files)
    return front + nonce + AESGCM(bucket.data_key.reveal()).encrypt(nonce, body, front)


def with_shares(bucket: Bucket, shares: dict[str, bytes]) -> Bucket:
    """The next revision of `bucket` in the same epoch, holding exactly `shares`."""
    header = bucket.header.model_copy(
        update={"files": tuple(sorted(shares)), "revision": bucket.header.revision + 1},
    )
    return Bucket(header, bucket.data_key, shares)


def refuse_malformed(file_id: str, retention_class: str) -> None:
    """Raises Malformed for what a header could not hold."""
    if not re.fullmatch(_FILE_ID, file_id):
        raise Malformed("file_id")
    if not re.fullmatch(_CLASS, retention_class):
        raise Malformed("retention_class")
