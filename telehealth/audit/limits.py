"""How much may wait, and how long."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; times in seconds."""

    queue: int = 4096  # entries waiting for the disk; full = LogUnavailable
    closing: int = 1024  # closing entries under way; beyond they are counted as lost
    patience: float = 5.0  # how long an opening act waits for its entry
    brief: float = 0.25  # how long a closing act waits, for the log and then for the spool
    retry_every: float = 1.0
    spool: int = 256 * 1024  # bytes, some 500 entries
    memory: int = 1024  # closing entries kept in memory alone while not even the spool can be written
    throttle_window: float = 60.0
    throttle_sources: int = 1024
    throttle_tick: float = 5.0
