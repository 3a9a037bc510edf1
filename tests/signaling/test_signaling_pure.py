"""Parsing, throttling, seats and TURN credentials."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import messages
from signaling.turn import IceServers
from telehealth.errors import Malformed
from telehealth.limits.bucket import Rate, TokenBucket
from telehealth.secret import Secret

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MODELS = [
    messages.Enter,
    messages.Admit,
    messages.Remove,
    messages.Signal,
    messages.Media,
    messages.ScreenPolicy,
    messages.QualityReport,
    messages.Ask,
    messages.ConsentAnswer,
    messages.LegOffer,
    messages.LegReady,
]


@given(model=st.sampled_from(MODELS), payload=ANYTHING)
def test_whatever_comes_is_a_message_or_malformed(model, payload) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Malformed):
        messages.parse(model, payload)


@given(payload=ANYTHING)
def test_whatever_a_handshake_says_is_understood_or_malformed(payload: object) -> None:
    with pytest.raises(Malformed):
        messages.parse_auth(payload)


def test_a_refusal_names_the_field_and_never_the_value() -> None:
    with pytest.raises(Malformed) as refused:
        messages.parse(messages.Admit, {"participant": "Canary Patient"})
    assert refused.value.where == "participant"


@given(st.lists(st.floats(min_value=0, max_value=2), max_size=200))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(steps: list[float]) -> None:
    bucket, now, given_out = TokenBucket(Rate(40, 80), 0.0), 0.0, 0
    for step in steps:
        now += step
        given_out += bucket.take(now)
    assert given_out <= 80 + 40 * now + 1e-6


def test_turn_credentials_are_what_coturn_expects() -> None:
    now = datetime(2031, 1, 1, tzinfo=UTC)
    (server,) = IceServers((), ("turns:t.example:443",), Secret("s3")).credentials("par_x", now)
    name = f"{int(now.timestamp()) + 3600}:par_x"
    code = base64.b64encode(hmac.digest(b"s3", name.encode(), hashlib.sha1)).decode()
    assert server == {"urls": ["turns:t.example:443"], "username": name, "credential": code}
    assert IceServers().credentials("par_x", now) == []
