"""A flood in a cell of its own: one far address gets its own socket and buffer, so that it fills nobody else's."""

from contextlib import suppress

from signaling.rtc.paths import UdpDoor, UdpPath
from signaling.rtc.sockets import kernel_drops, open_beside

MOST_CELLS = 16
A_TICK = 512  # datagrams taken from a cell each tick of 50 ms; the kernel drops the rest for nothing
_QUIET = 100  # taken in a tick: below this for so many ticks in a row the flood is over
_QUIET_TICKS = 200
_BUFFER = 256 * 1024  # octets


class Cell(UdpDoor):
    """A socket connected to one far address: the kernel prefers it to the port's own for what comes from there."""

    __slots__ = ("calm", "path")

    def __init__(self, door: UdpDoor, path: UdpPath) -> None:
        super().__init__(open_beside(door.socket, path.raw, _BUFFER))
        self.proven = door.proven  # whoever else is caught while it opens is known here as well
        self.lanes = door.lanes
        self.main = door.main
        self.path = path
        self.calm = 0

    def over(self, taken: int) -> bool:
        """Whether the flood is over, or its leg, when so many datagrams were taken in this tick."""
        self.calm = self.calm + 1 if taken < _QUIET else 0
        return self.calm >= _QUIET_TICKS or self.path.leg is None


class Cells:
    """The cells of a port."""

    def __init__(self) -> None:
        self.open: list[Cell] = []
        self._dropped = 0

    def confine(self, path: UdpPath) -> None:
        """Give what comes by `path` a socket of its own; nothing happens where all cells are taken."""
        if len(self.open) >= MOST_CELLS or any(cell.path is path for cell in self.open):
            return
        with suppress(OSError):  # no descriptor left: then it stays with the others, within its leg's budget
            self.open.append(Cell(path.door, path))

    def release(self, cell: Cell) -> None:
        """What comes by its path goes to the port's own socket again."""
        self.open.remove(cell)
        self._dropped += kernel_drops(cell.socket) or 0
        cell.socket.close()

    def dropped(self) -> int:
        """Datagrams that the kernel dropped in cells."""
        return self._dropped + sum(kernel_drops(cell.socket) or 0 for cell in self.open)

    def close(self) -> None:
        for cell in list(self.open):
            self.release(cell)
