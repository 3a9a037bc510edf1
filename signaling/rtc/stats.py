"""What a leg tells about itself."""

from dataclasses import dataclass, field

from telehealth.frames import TrackKind


@dataclass(frozen=True, slots=True)
class LegStats:
    """What one leg carried so far.

    `bitrate` and `allowed_bitrate` in bit/s, `loss` 0–1 before repair, both over the last second; `jitter` and `rtt` in
    seconds, `rtt` None while unknown. `sent_…` is the other direction, as the browser reports it. `allowed_bitrate` is
    what the browser may send, `available_bitrate` what it can take, None while it has not said.
    """

    packets: int = 0
    octets: int = 0
    bitrate: int = 0
    loss: float = 0.0
    jitter: dict[TrackKind, float] = field(default_factory=dict)
    frames: dict[TrackKind, int] = field(default_factory=dict)
    rtt: float | None = None
    nacks: int = 0
    key_frame_requests: int = 0
    allowed_bitrate: int = 0
    path: str = ""  # "udp4", "udp6", "tcp4" or "tcp6"; empty while unknown
    sent_packets: int = 0
    sent_octets: int = 0
    sent_bitrate: int = 0
    sent_loss: float = 0.0
    sent_jitter: float = 0.0
    sent_rtt: float | None = None
    nacks_heard: int = 0
    key_frames_heard: int = 0
    retransmitted: int = 0
    pictures_paused: int = 0
    available_bitrate: int | None = None
