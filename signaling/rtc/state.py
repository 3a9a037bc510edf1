"""The numbers of legs, sources and sections, where the compiled loop works on them too; plain attributes without it.

`make_loop` says whether there is one (docs/decisions/0025-compiled-loop.md). One state, two ways to work on it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pylibsrtp import Session, _binding

if TYPE_CHECKING:
    from signaling.rtc import _batch
    from signaling.rtc._batch import (
        Address,
        BudgetState,
        Cipher,
        FeedState,
        HistoryState,
        Lane,
        Loop,
        OutletState,
        PublicationState,
        ReceptionState,
    )
else:
    try:
        from signaling.rtc import _batch
        from signaling.rtc._batch import (
            Address,
            BudgetState,
            Cipher,
            FeedState,
            HistoryState,
            Lane,
            Loop,
            OutletState,
            PublicationState,
            ReceptionState,
        )
    except ImportError:
        from signaling.rtc._plain import (
            Address,
            BudgetState,
            Cipher,
            FeedState,
            HistoryState,
            Lane,
            Loop,
            OutletState,
            PublicationState,
            ReceptionState,
        )

        _batch = None

__all__ = [
    "Address",
    "BudgetState",
    "Cipher",
    "FeedState",
    "HistoryState",
    "Lane",
    "Loop",
    "OutletState",
    "PublicationState",
    "ReceptionState",
    "compiled",
    "make_cipher",
    "make_loop",
]

# What the loop calls in libsrtp; another signature would be another library than it was written for.
_SIGNATURE = "srtp_err_status_t(*)(struct srtp_ctx_t_ *, void *, int *)"


def compiled() -> bool:
    """Whether the loop was built and fits the library that pylibsrtp brings."""
    acts = (_binding.lib.srtp_protect, _binding.lib.srtp_unprotect)
    return _batch is not None and all(_binding.ffi.typeof(act).cname == _SIGNATURE for act in acts)


def make_cipher(session: Session) -> Cipher:
    """The session's SRTP context, with the session kept alive as long as it."""
    return Cipher(int(_binding.ffi.cast("uintptr_t", session._srtp[0])), session)


def make_loop(
    odd: Callable[[Any, bytes, Any, float], None], fault: Callable[[Any, Exception], None], outage: float
) -> Loop | None:
    """A loop that gives `odd` what is not the plain case, and `fault` a leg that failed; None where there is none."""
    if not compiled():
        return None
    _batch.use(_binding.__file__)
    return Loop(odd, fault, outage)


def figures(loop: Loop | None) -> Mapping[str, int]:
    """What a loop counted, by the names of `MediaPort.stats`."""
    if loop is None:
        return {"compiled": 0}
    return {
        "compiled": 1,
        "compiled_packets": loop.packets,
        "packets": loop.packets,
        "octets": loop.octets,
        "sent": loop.sent,
        "send_failed": loop.failed,
        "dropped_sent_twice": loop.sent_twice,
    }
