"""Sealed columns stay where they were put and are found by keyed hash."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.keys.binding import bind
from telehealth.keys.fields import FieldCipher, FieldUnreadable, normalised
from telehealth.secret import Secret

CIPHER = FieldCipher(Secret(bytes(32)), Secret(bytes(range(32))))
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(text=TEXT, table=TEXT, column=TEXT, row=TEXT)
def test_what_was_sealed_opens(text: str, table: str, column: str, row: str) -> None:
    blob = CIPHER.seal(text, table=table, column=column, row=row)
    assert CIPHER.open(blob, table=table, column=column, row=row) == text
    assert len(blob) == 29 + len(text.encode())


@given(parts=st.lists(TEXT, max_size=4), others=st.lists(TEXT, max_size=4))
def test_two_places_never_look_the_same(parts: list[str], others: list[str]) -> None:
    assert (bind("x", *parts) == bind("x", *others)) == (parts == others)


@pytest.mark.parametrize(
    "place",
    [("patients", "name", "2"), ("patients", "contact", "1"), ("users", "name", "1"), ("patient", "sname", "1")],
)
def test_a_value_moved_elsewhere_does_not_open(place: tuple[str, str, str]) -> None:
    blob = CIPHER.seal("Name", table="patients", column="name", row="1")
    with pytest.raises(FieldUnreadable):
        CIPHER.open(blob, table=place[0], column=place[1], row=place[2])


@given(blob=st.binary(max_size=60))
def test_foreign_bytes_do_not_open(blob: bytes) -> None:
    with pytest.raises(FieldUnreadable):
        CIPHER.open(blob, table="t", column="c", row="1")


def test_every_flipped_bit_is_noticed() -> None:
    blob = CIPHER.seal("Name", table="t", column="c", row="1")
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FieldUnreadable):
            CIPHER.open(bytes(changed), table="t", column="c", row="1")


def test_the_same_text_never_looks_the_same_twice_and_never_shows() -> None:
    one, two = (CIPHER.seal("Canary Name", table="t", column="c", row="1") for _ in range(2))
    assert one != two
    assert b"Canary" not in one


@pytest.mark.parametrize(
    ("one", "two"),
    [("First  Last", " first last\n"), ("Straße", "STRASSE"), ("ＡＢＣ", "abc"), ("e\u0301", "É"), ("ﻼ", "لا")],
)
def test_a_lookup_ignores_case_width_and_spacing(one: str, two: str) -> None:
    assert CIPHER.lookup("name", one) == CIPHER.lookup("name", two)


def test_a_lookup_differs_by_purpose_text_and_key() -> None:
    other = FieldCipher(Secret(bytes(32)), Secret(os.urandom(32)))
    hashes = {CIPHER.lookup("name", "a"), CIPHER.lookup("contact", "a"), CIPHER.lookup("name", "b")}
    hashes.add(other.lookup("name", "a"))
    assert {len(found) for found in hashes} == {32}
    assert len(hashes) == 4


@given(text=TEXT)
def test_normalising_again_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
