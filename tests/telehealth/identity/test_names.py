"""Sign-in names that could pass for each other are not given out."""

import pytest
from identity_house import ADMIN, House

from telehealth.errors import Malformed
from telehealth.identity.faults import LoginTaken
from telehealth.identity.names import readable_login, readable_name

LOOKALIKES = {
    "a Cyrillic a": "\u0430da",
    "all Cyrillic, all like Latin": "\u0441\u043e\u0441\u043e",
    "a Greek o": "r\u03bfot",
    "a dotless look with a joiner": "ad\u200da",
    "a soft hyphen": "ad\u00ada",
    "right to left": "\u202eada",
    "an emoji": "ada\U0001f600",
    "a combining slash across scripts": "\u0430\u0338d",
    "a fraction slash": "a\u2044b",
    "a mathematical letter beside Cyrillic": "\U0001d41a\u0434\u0430",
    "an Armenian o": "r\u0585\u0585t",
    "a private letter": "ad\ue000",
    "an unassigned one": "ad\u0378",
    "a long one by width": "\ufdfa" * 40,
}


@pytest.mark.parametrize("how", LOOKALIKES)
def test_a_name_that_may_pass_for_another_is_refused(how: str) -> None:
    with pytest.raises(Malformed):
        readable_login(LOOKALIKES[how])


FINE = """ada Ada.Lovelace ada@clinic.example o'neill müller ada_2
жанна δημήτρης ليلى دكتور٣ ליאת 田中 たなか太郎 김민수 नेहा"""


@pytest.mark.parametrize("login", FINE.split())
def test_names_of_every_one_script_are_fine(login: str) -> None:
    assert readable_login(f" {login} ") == login


async def test_width_and_case_make_no_second_name(house: House) -> None:
    await house.people.add(ADMIN, "ada", "Ada", "clinician")
    for same in ("ADA", "\uff41\uff44\uff41", "\U0001d41ada"):
        with pytest.raises(LoginTaken):
            await house.people.add(ADMIN, same, "Another", "clinician")


def test_names_of_people_turn_no_writing_around() -> None:
    assert readable_name("  Léa   O'Neill-Müller ") == "Léa O'Neill-Müller"
    assert readable_name("ليلى\u200cالأحمد")
    for name in ("", " ", "Ada\u202egnp.exe", "a\u2066b", "a\x00b", "x" * 121):
        with pytest.raises(Malformed):
            readable_name(name)
