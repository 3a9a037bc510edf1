"""Rules that need no house."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.identity.contacts import address_for
from telehealth.identity.hashing import Cost, Hasher
from telehealth.identity.passwords import LONGEST, SHORTEST, weak
from telehealth.identity.secrets import as_read, new_passcode, new_recovery_codes, new_token, recovery_hash
from telehealth.identity.slowing import PAIR, Standing, after_failure, seconds_to_wait
from telehealth.identity.totp import matching_step, secret_of
from telehealth.identity.worn import WORDS
from telehealth.secret import Secret

NOW = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)


@given(st.text(max_size=40))
def test_reading_a_code_twice_changes_nothing_more(text: str) -> None:
    assert as_read(as_read(text)) == as_read(text)


@pytest.mark.parametrize("typed", ["12345-67890", "12345 67890", "١٢٣٤٥ ٦٧٨٩٠", "12345–67890", "1234567890\u200f"])
def test_digits_of_any_script_are_the_same_code(typed: str) -> None:
    assert as_read(typed) == "1234567890"


def test_secrets_are_long_enough_and_differ() -> None:
    ticks = iter(range(100))

    def entropy(count: int) -> bytes:
        return bytes([next(ticks)]) * count

    tokens = {new_token(entropy).reveal() for _ in range(5)}
    assert len(tokens) == 5
    assert {len(token) for token in tokens} == {43}
    assert len(as_read(new_passcode(entropy))) == 10
    codes = new_recovery_codes(entropy)
    assert {len(as_read(code)) for code in codes} == {24}
    assert recovery_hash(codes[0]) == recovery_hash(codes[0].upper().replace("-", ""))


def test_a_totp_code_counts_one_step_to_either_side_and_never_backwards() -> None:
    secret = secret_of(Secret("token"))
    totp, step = pyotp.TOTP(secret.reveal()), int(NOW.timestamp()) // 30
    for offset, found in ((-2, None), (-1, step - 1), (0, step), (1, step + 1), (2, None)):
        code = totp.at(NOW + timedelta(seconds=30 * offset))
        assert matching_step(secret, code, NOW, after=None) == found
        assert matching_step(secret, code, NOW, after=step + 1) is None
    assert matching_step(secret, "", NOW, after=None) is None


@given(st.integers(0, 100), st.integers(1, 100))
def test_more_failures_never_wait_less(failures: int, more: int) -> None:
    assert PAIR.wait(failures) <= PAIR.wait(failures + more) <= PAIR.most


def test_a_day_of_rest_forgets_failures() -> None:
    standing = Standing(40, NOW, NOW)
    rested = after_failure(standing, PAIR, NOW + timedelta(hours=25))
    assert (rested.failures, seconds_to_wait(rested, NOW)) == (1, 0)
    assert after_failure(standing, PAIR, NOW + timedelta(hours=1)).failures == 41


@pytest.mark.parametrize(
    ("channel", "contact", "found"),
    [
        ("sms", " +43 660/1234567 ", "+436601234567"),
        ("sms", "pat@example.org", None),
        ("sms", "0660 1234567", None),
        ("email", " pat@example.org ", "pat@example.org"),
        ("email", "pat@example.org, other@example.org", None),
        ("email", "pat@example.org\nBcc: x@example.org", None),
        ("email", "+436601234567", None),
        ("email", None, None),
    ],
)
def test_a_contact_is_one_address_or_none(channel: str, contact: str | None, found: str | None) -> None:
    assert address_for(channel, contact) == found


@pytest.mark.parametrize(
    ("password", "is_weak"),
    [
        ("seven brown otters swim", False),
        ("kor7&vulp.Ziest", False),
        ("tiger guitar cookie heaven", False),
        ("short", True),
        ("password12345678", True),
        ("ada.lovelaceada.l", True),
        ("Dr. Ada Byron 1915", True),
        ("Lakeside2031Clinic", True),
        ("aaaaaaaaaaaaaaaa", True),
        ("kestrelkestrel", True),
        ("1qaz2wsx3edc4rfv", True),
        ("poiuytrewq0987", True),
        ("P@$$w0rd2031!", True),
        ("Summer2031!!!!", True),
        ("1.2.2031-3.4.2032", True),
    ],
)
def test_passwords_are_long_and_not_worn(password: str, is_weak: bool) -> None:
    assert weak(password, "ada.lovelace", ("Dr Ada Byron", "Lakeside Clinic")) is is_weak


def test_the_most_common_passwords_that_are_long_enough_are_refused() -> None:
    """What lists of leaked passwords begin with, where twelve characters are asked for: a word and what one adds."""
    added = [
        "1234",
        "123456",
        "12345678",
        "2031",
        "!!!!",
        "123!",
        "1q2w3e",
        "qwerty",
        "abc123",
        "00000000",
        "01.02.2003",
    ]
    built = {f"{word}{more}" for word in WORDS for more in added} | {
        f"{more}{word}" for word in WORDS for more in added
    }
    built |= {f"{word}{word}" for word in WORDS} | {f"{word.title()}{word[::-1]}" for word in ("admin", "qwerty")}
    walks = {
        "qwertyuiop[]",
        "1234567890-=",
        "qazwsxedcrfv",
        "1q2w3e4r5t6y",
        "zxcvbnm,./asd",
        "147258369147",
        "zaq12wsxcde3",
    }
    common = {one for one in built if len(one) >= SHORTEST} | walks
    assert len(common) > 3_000
    assert [one for one in sorted(common) if not weak(one, "somebody")] == []


@given(st.text(max_size=LONGEST + 1))
def test_any_text_is_judged_and_longer_is_never_made_worse_by_what_is_new(text: str) -> None:
    assert weak(text, "ada") in (True, False)
    if not weak(text, "ada") and len(text) < LONGEST - 12:
        assert not weak(f"{text} \u00f8\u00f0\u00fe\u0142\u0111\u0167", "ada")


async def test_a_missing_hash_takes_the_work_of_a_real_one_and_is_never_right() -> None:
    hasher = Hasher(Cost(1, 32, 1))
    encoded = await hasher.hash("right")
    assert encoded.startswith("$argon2id$")
    assert await hasher.verify(encoded, "right")
    assert not await hasher.verify(encoded, "wrong")
    assert not await hasher.verify(None, "nobody's")
    assert not await hasher.verify("no hash at all", "right")
    assert hasher.outdated(encoded) is False
    assert Hasher(Cost(2, 32, 1)).outdated(encoded)


def test_production_hashes_at_the_cost_of_rfc_9106() -> None:
    assert Cost() == Cost(passes=3, memory_kib=64 * 1024, lanes=4)
