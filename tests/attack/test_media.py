"""The attacks on the media port of `make attack`, with few datagrams: nobody is closed, nothing false gets through."""

from collections.abc import Callable, Iterator

import pytest

from benchmarks import attack_media_forged, attack_media_paths, attack_media_storm, attack_media_tcp, attack_media_words
from benchmarks.figure import Figure

OF_THE_CLOCK = {
    *("media.attack.flood_others_lost", "media.attack.flood_others_sound_lost"),
    *("media.attack.messages_others_p99", "media.attack.messages_loop_over_50ms"),
}  # a busy machine decides them


@pytest.mark.parametrize(
    ("part", "count", "figures"),
    [
        (attack_media_storm.run, 5_000, 9),
        (attack_media_forged.run, 5_000, 10),
        (attack_media_paths.run, 16, 5),
        (attack_media_tcp.run, 100, 5),
        (attack_media_words.run, 1_000, 7),
    ],
    ids=["storm", "forged", "paths", "tcp", "words"],
)
def test_no_attack_on_the_media_port_closes_a_call_or_brings_a_frame_in(
    part: Callable[[int], Iterator[Figure]], count: int, figures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N", str(count))
    monkeypatch.setenv("RATE", "5000")
    found = list(part(11))
    assert len(found) == figures
    assert [figure.line() for figure in found if not figure.holds and figure.figure not in OF_THE_CLOCK] == []
