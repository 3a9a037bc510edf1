"""What stands behind the last entry that a head covers: found, and cut. Blocks."""

from telehealth.audit.files import Files
from telehealth.audit.layout import SEGMENT, Layout, detail_records, leaf_records, segments_in


class TailTooLong(Exception):
    """More leaves stand behind the head than a broken-off commit can leave."""


def details_below(layout: Layout, files: Files, size: int) -> int:
    """Where the details of entries below `size` end in their segment's file."""
    try:
        content = files.read(layout.details_of(size // SEGMENT))
    except FileNotFoundError:
        return 0
    return max((stop for index, _, stop in detail_records(content) if index < size), default=0)


def cut_leaves(layout: Layout, files: Files, size: int, leaf_end: int, most: int) -> int:
    """Cut the leaves behind `size`; how many there were. Raises TailTooLong beyond `most`, with nothing cut."""
    last, beyond, cuts = size // SEGMENT, 0, []
    for segment in segments_in(files.names(layout.leaves)):
        path = layout.leaves_of(segment)
        keep = leaf_end if segment == last and size % SEGMENT else 0
        if segment < last or files.size(path) == keep:
            continue
        beyond += len(leaf_records(files.read(path, keep))[0])
        cuts.append((path, keep))
    if beyond > most:
        raise TailTooLong
    for path, keep in cuts:
        files.cut(path, keep)
    return beyond


def cut_details(layout: Layout, files: Files, size: int) -> int:
    """Cut details whose leaves are gone; where the last segment's details end."""
    last, kept_end = size // SEGMENT, 0
    for segment in segments_in(files.names(layout.details)):
        if segment < last:
            continue
        path = layout.details_of(segment)
        end = 0
        for index, _, stop in detail_records(files.read(path)):
            end = stop if index < size else end
        if files.size(path) != end:
            files.cut(path, end)
        if segment == last:
            kept_end = end
    return kept_end
