"""The audit log as it stood under one signed head, copied beside a log that goes on growing. Blocks.

What can be made anew (tiles, index, journal) is left out: files and head alone hold the whole log.
"""

from collections.abc import Iterator

from telehealth.audit.files import Files
from telehealth.audit.layout import SEGMENT, Layout, detail_records, leaf_records
from telehealth.audit.ledger import Signed
from telehealth.backup.tarball import Small


def log_files(layout: Layout, files: Files, signed: Signed, *, spooled: bool) -> Iterator[Small]:
    """Exactly the entries below the head, their sealed details, keys, head; with `spooled` what still waits, too."""
    size = signed.head.size
    for segment in range(-(-size // SEGMENT)):
        yield _leaves(layout, files, segment, min(SEGMENT, size - segment * SEGMENT))
        details = _details(layout, files, segment, size)
        if details is not None:
            yield details
    if size >= SEGMENT:
        yield Small("subtrees", files.read(layout.subtrees, 0, 32 * (size // SEGMENT)))
    for path in (layout.keys, *((layout.spool,) if spooled else ())):
        try:
            yield Small(path.name, files.read(path))
        except FileNotFoundError:
            continue  # the first key needs no list
    yield Small(layout.head.name, signed.note)


def _leaves(layout: Layout, files: Files, segment: int, count: int) -> Small:
    path = layout.leaves_of(segment)
    content = files.read(path)
    return Small(f"leaves/{path.name}", content[: leaf_records(content, count)[1]])


def _details(layout: Layout, files: Files, segment: int, size: int) -> Small | None:
    path, end = layout.details_of(segment), 0
    try:
        content = files.read(path)
    except FileNotFoundError:
        return None
    for index, _, stop in detail_records(content):
        if index >= size:
            break
        end = stop
    return Small(f"details/{path.name}", content[:end])
