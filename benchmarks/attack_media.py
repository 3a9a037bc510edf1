"""Everything that a stranger, a neighbour on the way or a malicious participant can send to the media port, as figures.

N: of the largest part, a million in full (10^6 datagrams, 10^6 forged packets, 10^5 words, 10^3 races); RATE: datagrams
a second. The flood of events over one socket is `attack_flood`'s.
"""

import os
from collections.abc import Iterator

from benchmarks import attack_media_forged, attack_media_paths, attack_media_storm, attack_media_tcp, attack_media_words
from benchmarks.figure import Figure, said, wished

_FULL = 1_000_000
PARTS = (
    (attack_media_storm.run, 1),
    (attack_media_forged.run, 1),
    (attack_media_paths.run, 1_000),
    (attack_media_tcp.run, 1_000),
    (attack_media_words.run, 10),
)


def run(seed: int) -> Iterator[Figure]:
    """Each part with its share of N."""
    count, told = wished(_FULL), os.environ.get("N")
    try:
        for part, share in PARTS:
            os.environ["N"] = str(max(8, count // share))
            yield from part(seed)
    finally:
        os.environ.pop("N", None) if told is None else os.environ.update(N=told)


if __name__ == "__main__":
    said(run)
