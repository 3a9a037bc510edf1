"""The bytes of a bucket: exact, bound as a whole, refused when a bit differs."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telehealth.errors import Malformed
from telehealth.keys.bucket import MAGIC, Bucket, Header, open_bucket, parse_header, seal_bucket, with_shares
from telehealth.keys.provider import UnwrapFailed
from telehealth.secret import Secret

KEY = Secret(bytes(range(32)))
NONCE = bytes(12)


def bucket_of(shares: dict[str, bytes]) -> Bucket:
    header = Header.model_validate(
        {
            "bucket": "bkt_" + "a" * 26,
            "epoch": "epoch-" + "b" * 26,
            "day": datetime.date(2026, 11, 2),
            "class": "adult",
            "held": False,
            "files": tuple(sorted(shares)),
            "revision": 1,
            "wrapped": "00ff",
        }
    )
    return Bucket(header, KEY, shares)


@settings(max_examples=30)
@given(st.dictionaries(st.text("abc_.-7", min_size=1, max_size=30), st.binary(min_size=32, max_size=32), max_size=5))
def test_what_was_sealed_opens(shares: dict[str, bytes]) -> None:
    bucket = bucket_of(shares)
    assert open_bucket(seal_bucket(bucket, NONCE), KEY) == bucket


def test_every_flipped_bit_is_noticed() -> None:
    blob = seal_bucket(bucket_of({"fil_a": b"\x01" * 32, "fil_b": b"\x02" * 32}), NONCE)
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((UnwrapFailed, Malformed)):
            open_bucket(bytes(changed), KEY)


@given(st.binary(max_size=80), st.booleans())
def test_foreign_bytes_are_malformed(blob: bytes, magic: bool) -> None:
    with pytest.raises(Malformed):
        parse_header(MAGIC + blob if magic else blob)


def test_the_layout_is_the_documented_one() -> None:
    blob = seal_bucket(bucket_of({"fil_a": bytes(32)}), NONCE)
    header = (
        b'{"bucket":"bkt_aaaaaaaaaaaaaaaaaaaaaaaaaa","epoch":"epoch-bbbbbbbbbbbbbbbbbbbbbbbbbb","day":"2026-11-02",'
        b'"class":"adult","held":false,"files":["fil_a"],"revision":1,"wrapped":"00ff"}'
    )
    assert blob[:9] == b"THKB\x01" + len(header).to_bytes(4, "big")
    assert blob[9 : 9 + len(header)] == header
    assert len(blob) == 9 + len(header) + 12 + 32 + 16


def test_shares_do_not_print() -> None:
    assert "\\x01" not in repr(bucket_of({"fil_a": b"\x01" * 32}))


def test_a_new_revision_counts_on() -> None:
    more = with_shares(bucket_of({"fil_a": bytes(32)}), {"fil_b": bytes(32), "fil_a": bytes(32)})
    assert (more.header.revision, more.header.files) == (2, ("fil_a", "fil_b"))
