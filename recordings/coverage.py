"""Which octets of a track were read: merged spans, few enough for one entry of the log. Pure."""

MOST_SPANS = 5  # fits the length of one field of an entry


class Coverage:
    """Spans [start, end) in order; when there are too many, the two nearest are joined."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        """Count octets start..end (end exclusive) as read."""
        if end <= start:
            return
        before = [span for span in self._spans if span[1] < start]
        after = [span for span in self._spans if span[0] > end]
        touching = self._spans[len(before) : len(self._spans) - len(after)]
        joined = (min([start, *(span[0] for span in touching)]), max([end, *(span[1] for span in touching)]))
        self._spans = [*before, joined, *after]
        if len(self._spans) > MOST_SPANS:
            self._join_nearest()

    def text(self) -> str:
        """`0-65535+131072-200000`: inclusive ends as in HTTP ranges; empty when nothing was read."""
        return "+".join(f"{start}-{end - 1}" for start, end in self._spans)

    def _join_nearest(self) -> None:
        gaps = [self._spans[i + 1][0] - self._spans[i][1] for i in range(len(self._spans) - 1)]
        at = gaps.index(min(gaps))
        self._spans[at : at + 2] = [(self._spans[at][0], self._spans[at + 1][1])]
