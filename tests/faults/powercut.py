"""What a power cut leaves of the changes that a server made: synced ones whole, any part of the others.

Kept apart are contents and names. A write that was not synced may be there, be missing, be torn, or have left its
length alone, whatever came after it; so may a creation, a rename or a removal whose folder was not synced. A rename
moves its name or does not: file systems promise that much and no more.
"""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from tests.faults.disk import Change, Kind

_SECTOR = 512
_Write = tuple[Kind, int, bytes]  # what, where, and its octets


@dataclass(slots=True)
class _File:
    """`safe`: what is synced; `waiting`: writes and cuts that are not. A folder has nothing in it but names."""

    safe: bytes = b""
    waiting: list[_Write] = field(default_factory=list)
    is_folder: bool = False

    def settle(self) -> None:
        self.safe = _applied(self.safe, self.waiting)
        self.waiting = []


@dataclass(frozen=True, slots=True)
class _Naming:
    """One change of names in a folder, all or nothing."""

    folder: str
    names: tuple[tuple[str, _File | None], ...]


class Platter:
    """A disk as a power cut sees it: `feed` it with changes, `cut` it at any time."""

    def __init__(self, rested: Path, root: Path) -> None:
        """`rested`: a copy of the folder `root` from before, old enough for all of it to be safe."""
        self._root = str(root)
        self._now = {self._root: _File(is_folder=True)}
        for path in sorted(rested.rglob("*")):
            place = str(root / path.relative_to(rested))
            if path.is_dir():
                self._now[place] = _File(is_folder=True)
            elif path.is_file() and not path.name.endswith("-shm"):
                self._now[place] = _File(path.read_bytes())
        self._safe = dict(self._now)
        self._waiting: list[_Naming] = []
        self._handles: dict[int, tuple[str, _File]] = {}

    @property
    def unsafe(self) -> int:
        """How many changes could still be lost."""
        files = {id(file): file for file in (*self._now.values(), *self._safe.values())}
        return len(self._waiting) + sum(len(file.waiting) for file in files.values())

    def resting(self, ending: str) -> dict[str, bytes]:
        """What is safe of files whose name ends so, and that nobody is removing, by name."""
        found = {path: file for path, file in self._safe.items() if path.endswith(ending) and path in self._now}
        return {PurePath(path).name: file.safe for path, file in found.items()}

    def feed(self, change: Change) -> None:
        match change.kind:
            case Kind.OPEN:
                self._open(change)
            case Kind.WRITE | Kind.CUT | Kind.GROW:
                self._handles[change.handle][1].waiting.append((change.kind, change.offset, change.second))
            case Kind.SYNC:
                self._sync(*self._handles[change.handle])
            case Kind.RENAME:
                target = change.second.decode()
                self._name(target, (change.first, None), (target, self._now[change.first]))
            case Kind.FOLDER:
                self._name(change.first, (change.first, _File(is_folder=True)))
            case Kind.UNLINK | Kind.RMDIR:
                self._name(change.first, (change.first, None))

    def cut(self, chance: random.Random, into: Path) -> None:
        """Write what one power cut leaves to a new folder."""
        names = dict(self._safe)
        for naming in _lucky(self._waiting, chance):
            _rename(names, naming.names)
        into.mkdir(mode=0o700)
        for path, file in sorted(names.items()):
            if path == self._root:
                continue
            here = into / PurePath(path).relative_to(self._root)
            if not here.parent.is_dir():
                continue  # its folder's own name was lost
            if file.is_folder:
                here.mkdir(mode=0o700)
            else:
                here.write_bytes(_torn(file, chance))
                here.chmod(0o600)

    def _open(self, change: Change) -> None:
        is_new, is_cut, is_folder = change.offset & 1, change.offset & 2, change.offset & 4
        if is_new:
            self._name(change.first, (change.first, _File()))
        file = self._now.get(change.first) or _File(is_folder=bool(is_folder))
        if is_cut and not is_new:
            file.waiting.append((Kind.CUT, 0, b""))
        self._handles[change.handle] = (change.first, file)

    def _sync(self, path: str, file: _File) -> None:
        if not file.is_folder:
            file.settle()
            return
        for naming in self._waiting:
            if naming.folder == path:
                _rename(self._safe, naming.names)
        self._waiting = [naming for naming in self._waiting if naming.folder != path]

    def _name(self, path: str, *names: tuple[str, _File | None]) -> None:
        self._waiting.append(_Naming(str(PurePath(path).parent), names))
        _rename(self._now, names)


def _rename(names: dict[str, _File], change: Iterable[tuple[str, _File | None]]) -> None:
    for path, file in change:
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file


def _lucky(waiting: list[_Naming], chance: random.Random) -> list[_Naming]:
    """Those that reached the disk: none, all, the first few, or any."""
    fate = chance.randrange(4)
    if fate < 2:
        return waiting if fate else []
    if fate == 2:
        return waiting[: chance.randint(0, len(waiting))]
    return [naming for naming in waiting if chance.random() < 0.5]


def _torn(file: _File, chance: random.Random) -> bytes:
    fate, length = chance.randrange(5), len(file.safe)
    if fate < 2 or not file.waiting:
        return _applied(file.safe, file.waiting if fate else [])
    if fate == 2:
        kept = file.waiting[: chance.randint(1, len(file.waiting))]
        return _applied(file.safe, [*kept[:-1], *_pieces(kept[-1], length, chance)])
    lucky = [one for one in file.waiting if chance.random() < 0.6]
    return _applied(file.safe, [piece for one in lucky for piece in _pieces(one, length, chance)])


def _pieces(write: _Write, length: int, chance: random.Random) -> list[_Write]:
    """All of a write or some of its sectors. What lengthens the file (of `length`) may end anywhere, or be zeros.

    A sector that was there before holds its old content or its new one: every disk promises that.
    """
    kind, offset, data = write
    if kind is not Kind.WRITE or not chance.randrange(3):
        return [write]
    edges = [offset, *range((offset // _SECTOR + 1) * _SECTOR, offset + len(data), _SECTOR), offset + len(data)]
    pieces: list[_Write] = []
    for begin, end in itertools.pairwise(edges):
        fate = chance.randrange(3)
        piece = data[begin - offset : end - offset]
        if begin >= length and fate == 1:
            piece = piece[: chance.randrange(len(piece))]
        if begin >= length and fate == 2:
            pieces.append((Kind.GROW, end, b""))
        elif fate < 2:
            pieces.append((kind, begin, piece))
    return pieces


def _applied(content: bytes, waiting: list[_Write]) -> bytes:
    if not waiting:
        return content
    whole = bytearray(content)
    for kind, offset, data in waiting:
        if kind is Kind.CUT:
            del whole[offset:]
        end = offset + len(data)
        if len(whole) < end:
            whole.extend(bytes(end - len(whole)))
        if data:
            whole[offset:end] = data
    return bytes(whole)
