"""What people choose first: words, walks over the keys, runs, dates, and the letters they swap for digits. Pure."""

import re
from collections.abc import Iterable
from typing import Final

# What lists of leaked passwords are made of: their most common base words. Longer first where one holds another.
_TEXT: Final = """
password passwort passw0rd parola contrasena motdepasse wachtwoord kennwort geheim secret secure security private
letmein welcome willkommen bienvenue bonjour hello hallo hola iloveyou ilovemyself loveyou lovely lover love forever
princess prinzessin sunshine sonnenschein shadow schatten master monkey dragon football baseball basketball soccer
hockey tennis golf superman batman spiderman starwars pokemon naruto minecraft fortnite nintendo playstation xbox
computer internet samsung iphone android google facebook instagram twitter youtube microsoft windows linux apple
admin administrator root user guest test testing tester temp temporary default changeme change service support
system server database oracle login logmein access trustno trustme nothing whatever blink freedom liberty america
canada london berlin paris madrid chelsea arsenal liverpool manchester barcelona realmadrid juventus bayern dortmund
michael michelle jennifer jessica jordan ashley daniel andrew anthony william thomas robert richard charlie george
matthew joshua joseph nicole amanda melissa samantha stephanie elizabeth alexander alexandra christian christopher
jonathan benjamin patrick patricia martin maria marie anna andrea angela sandra sabrina thomas stefan peter david
hannah sophie lauren victoria vanessa natasha justin brandon austin taylor harley ferrari porsche mercedes mustang
corvette yamaha ducati chocolate cookie cheese banana orange apple cherry strawberry butterfly flower rose tinkerbell
purple yellow silver golden diamond crystal rainbow angel heaven jesus christ god blessed faith hope family mother
father mommy daddy babygirl baby sister brother friends friend bestfriend sweet sweetie honey killer hunter ranger
summer winter spring autumn sommer january february march april june july august september october november december
monday friday saturday sunday weekend holiday christmas birthday happy lucky smile magic merlin phoenix tiger lion
eagle falcon panther buster bailey maggie ginger pepper cooper jasper rocky snoopy garfield mickey donald disney
unicorn pirate ninja samurai warrior knight wizard gandalf matrix midnight thunder lightning storm metallica nirvana
slipknot guitar music player gamer gaming hacker hacking money dollar million business company office work
doctor nurse patient hospital clinic medical medicine health telehealth telemedicine covid corona vaccine care
qwerty qwertz azerty qwertyuiop qwertzuiop azertyuiop asdfgh asdfghjkl zxcvbn zxcvbnm yxcvbnm abcdef abc xyz
"""
WORDS: Final = tuple(sorted(set(_TEXT.split()), key=lambda word: (-len(word), word)))
_SWAPPED: Final = str.maketrans("013457@$!|+8", "oieastasiltb")  # digits and signs that stand for letters
_ROWS: Final = (
    "1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "yxcvbnm,.-", "azertyuiop",
    "qsdfghjklm", "wxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.", "qazwsxedcrfvtgbyhnujmik,ol.", "!@#$%^&*()",
    "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "zaqxswcdevfrbgtnhymju", "abcdefghijklmnopqrstuvwxyz",
    "0123456789", "147258369", "159357", "789456123",
)  # fmt: skip
_WALKS: Final = tuple(row + row for row in _ROWS) + tuple((row + row)[::-1] for row in _ROWS)
_SHORTEST_WALK: Final = 3
_REPEATED: Final = re.compile(r"(.{1,8}?)\1+")  # linear enough: a password has 200 characters at most
_DATE: Final = re.compile(r"(?:19|20)\d\d|\d{1,2}[./-]\d{1,2}")
_LEAST_NAME: Final = 3
_WORTH: Final = 1.5  # characters that a worn word counts as: four of them together are a phrase


def own_words(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of names and places that belong to whoever chooses, as they are looked for; the longest first."""
    found: set[str] = set()
    for text in texts:
        folded = text.casefold()
        found.update(part for part in (folded, *re.split(r"[\W_]+", folded)) if len(part) >= _LEAST_NAME)
    return tuple(sorted(found, key=lambda word: (-len(word), word)))


def left_over(text: str, own: Iterable[str] = ()) -> float:
    """How many characters stay when everything that is guessed first is taken out; `text` is case-folded.

    Read as it stands and with swapped letters turned back: the less that is left, the more counts.
    """
    return min(_left(text, own), _left(text.translate(_SWAPPED), own))


def _left(text: str, own: Iterable[str]) -> float:
    for word in own:
        text = text.replace(word, " ")
    worn = 0
    for word in WORDS:
        worn += word in text
        text = text.replace(word, " ")
    text = _DATE.sub(" ", _without_walks(_once(text)))
    return sum(letter.isalnum() for letter in text) + _WORTH * worn


def _once(text: str) -> str:
    """What stands several times in a row counts once."""
    return _REPEATED.sub(lambda found: found[1], text)


def _without_walks(text: str) -> str:
    """Three keys and more in a row, on any of the usual keyboards, either way."""
    kept, at = [], 0
    while at < len(text):
        longest = _walk(text, at)
        kept.append(" " if longest else text[at])
        at += longest or 1
    return "".join(kept)


def _walk(text: str, at: int) -> int:
    end = at + _SHORTEST_WALK
    if end > len(text) or not any(text[at:end] in row for row in _WALKS):
        return 0
    while end < len(text) and any(text[at : end + 1] in row for row in _WALKS):
        end += 1
    return end - at
