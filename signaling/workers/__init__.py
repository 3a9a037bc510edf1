"""Media ports in processes of their own, behind the interface of one (docs/decisions/0021-workers.md)."""

from signaling.workers.faults import MediaAway
from signaling.workers.pool import MediaPool
from signaling.workers.remote import RemoteLeg

__all__ = ["MediaAway", "MediaPool", "RemoteLeg"]
