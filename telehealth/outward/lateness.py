"""How long somebody has been behind something that grows. Pure."""

MOST = 512  # samples; thinned beyond, which never forgets the oldest


class Lateness:
    """Remembers when the log was first seen at which size."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []  # (steady time, size), both growing

    def saw(self, size: int, now: float) -> None:
        if not self._seen or size > self._seen[-1][1]:
            if len(self._seen) >= MOST:
                self._seen = self._seen[::2]
            self._seen.append((now, size))

    def seconds(self, reached: int, now: float) -> float:
        """For how long whoever has `reached` entries has lacked one."""
        return next((now - moment for moment, size in self._seen if size > reached), 0.0)

    def forget(self, reached: int) -> None:
        """Drop what is reached."""
        self._seen = [seen for seen in self._seen if seen[1] > reached] or self._seen[-1:]
