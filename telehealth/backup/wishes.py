"""What a backup is asked to be, and what became of it."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from telehealth.audit.entry import Code
from telehealth.backup.making import Written


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make. `keys_to` None: no keys; `to` None: keys alone."""

    to: Path | None
    keys_to: Path | None
    recipients: tuple[str, ...]
    with_objects: bool = False
    one_filesystem_is_meant: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A backup: both sets where both were asked for, what was pruned, seconds it took."""

    data: Written | None
    keys: Written | None
    pruned: int
    pruned_keys: int
    seconds: float


def what(wish: Wish) -> str:
    """Which of the two sets, as entries say it."""
    return "all" if wish.to and wish.keys_to else "data" if wish.to else "keys"


def told(made: Made) -> dict[str, Code]:
    """What the log keeps of it."""
    detail: dict[str, Code] = {"pruned": made.pruned, "pruned_keys": made.pruned_keys}
    for name, written in (("data", made.data), ("keys", made.keys)):
        if written is not None:
            detail |= {"set": written.manifest.id, f"{name}_sha256": sha256(written.raw).hexdigest()}
    if made.data is not None:
        detail |= {"objects": len(made.data.manifest.objects), "trouble": len(made.data.manifest.trouble)}
    return detail
