"""What a page needs, told in its first answer: addresses that may be kept for good, and every module it will ask for.

Nothing is bundled: what the browser runs is what the folder holds. `/static/@<version>/…` is `/static/…` as of one
state of the folder, so a browser asks once; `<link rel=modulepreload>` names the modules that it would find one by one.
"""

import hashlib
import re
import stat
from contextlib import suppress
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from threading import Lock

_IMPORT = re.compile(r'^(?:import|export)\b(?:[^;"\']*?\bfrom)?\s*["\']([./][^"\']*)["\']', re.MULTILINE)
_ENTRY = re.compile(r'<script type="module" src="([^"]+)"></script>')
_STATIC = "/static/"
MARK = "@"


_State = tuple[int, ...]  # of a file: what changes with its content


def digest(content: bytes) -> str:
    """32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:32]


class Modules:
    """The folder's version and the modules of each page; a file is read again whenever it changed. For any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now: tuple[str, dict[Path, tuple[_State, str]]] = "", {}  # as of the last page: version, digests
        self._pages: dict[Path, bytes] = {}  # of that version
        self._looking = Lock()

    def page(self, file: Path) -> bytes | None:
        """A page with the addresses of this version and its modules named ahead; None if there is none. Blocks."""
        with self._looking, suppress(FileNotFoundError):
            self._look()
            if file not in self._pages:
                self._pages[file] = self._made(file.read_text(encoding="utf-8"))
            return self._pages[file]
        return None

    def holds(self, version: str, file: Path, digest: str) -> bool:
        """Whether the version, that of the last page, was taken from a file of this content."""
        current, files = self._now
        return version == current and file in files and files[file][1] == digest

    def _made(self, text: str) -> bytes:
        entry = _ENTRY.search(text)
        if entry is not None:
            hints = "".join(f'<link rel="modulepreload" href="{escape(one)}">\n  ' for one in self._needed(entry[1]))
            text = text[: entry.start()] + hints + text[entry.start() :]
        return text.replace(f'"{_STATIC}', f'"{_STATIC}{MARK}{self._now[0]}/').encode()

    def _look(self) -> None:
        """The version: 16 hexadecimal digits of the names and contents of all files."""
        version, known = self._now
        found = dict[Path, tuple[_State, str]]()
        for file in sorted(self._folder.rglob("*")):
            with suppress(FileNotFoundError):  # a file that is just being replaced
                seen = file.stat()
                if not stat.S_ISREG(seen.st_mode):
                    continue
                state = seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino
                before = known.get(file)
                found[file] = before if before and before[0] == state else (state, digest(file.read_bytes()))
        if found != known:
            names = "".join(f"{file.relative_to(self._folder)}\0{told}\0" for file, (_, told) in found.items())
            version, self._pages = digest(names.encode())[:16], {}
        self._now = version, found

    def _needed(self, entry: str) -> list[str]:
        """Addresses of all that a module imports and all that those import, nearest first."""
        found = {entry: None}
        waiting = [entry]
        while waiting:
            here = waiting.pop(0)
            file = self._folder / here.removeprefix(_STATIC)
            if not here.startswith(_STATIC) or not file.is_file():
                continue  # not ours to read
            text = file.read_text(encoding="utf-8")
            there = [normpath(join(dirname(here), name)) for name in _IMPORT.findall(text)]
            fresh = [one for one in dict.fromkeys(there) if one not in found]
            found |= dict.fromkeys(fresh)
            waiting += fresh
        return list(found)[1:]
