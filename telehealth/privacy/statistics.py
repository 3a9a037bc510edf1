"""Visits in numbers, by year, without numbers small enough to point at somebody. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from telehealth.privacy.safe_harbor import ANSWERS, Row, band

Cells = Mapping[str, int | None]  # None: not told


@dataclass(frozen=True, slots=True)
class Year:
    """`visits` None: fewer than may be told; then every group is left out too."""

    year: int
    visits: int | None
    by_state: Cells
    by_age: Cells
    by_recorded: Cells
    answers: Cells  # of consent: people's, not visits'


def years(rows: Iterable[Row], least: int) -> list[Year]:
    """Every year's groups, oldest first, each with small cells suppressed."""
    found: dict[int, list[Row]] = defaultdict(list)
    for one in rows:
        found[one.year].append(one)
    return [_year(year, found[year], least) for year in sorted(found)]


def _year(year: int, rows: list[Row], least: int) -> Year:
    if len(rows) < least:
        return Year(year, None, {}, {}, {}, {})
    recorded = Counter("recorded" if one.recordings else "not_recorded" for one in rows)
    said = {answer: sum(getattr(one, answer) for one in rows) for answer in ANSWERS}
    return Year(
        year,
        len(rows),
        by_state=suppressed(Counter(one.state for one in rows), least),
        by_age=suppressed(Counter(band(one.age) for one in rows), least),
        by_recorded=suppressed(recorded, least),
        answers=suppressed(said, least),
    )


def suppressed(cells: Mapping[str, int], least: int) -> dict[str, int | None]:
    """Counts from 1 to least - 1 are left out, and then the next smallest until the rest tells none of them.

    Whoever subtracts what is told from the total learns the sum of what is not: that, too, is at least `least`, and
    of at least two cells, as far as there are any. A cell of 0 is told.
    """
    order = sorted((name for name, count in cells.items() if count > 0), key=lambda name: (cells[name], name))
    hidden = [name for name in order if cells[name] < least]
    spare = order[len(hidden) :]
    while hidden and spare and (len(hidden) < 2 or sum(cells[name] for name in hidden) < least):
        hidden.append(spare.pop(0))
    return {name: None if name in hidden else count for name, count in sorted(cells.items())}
