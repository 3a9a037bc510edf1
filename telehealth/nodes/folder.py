"""Whose log a folder of the audit log is: a server among several writes its name there, before the first entry."""

from pathlib import Path

from telehealth.durable import write_whole
from telehealth.errors import Reason, Refusal

_NAME = "node"
_LOG = "keys"  # there once the folder holds a log


class LogOfAnother(Refusal):
    """The folder holds the log of a server with another name; two servers never write one log."""

    code = "log_of_another"
    reason = Reason.CONFLICT
    message = "places.audit is the log of another server. Give every server a folder of its own, and keep redis.node."


def log_name(folder: Path) -> str:
    """The name of the server whose log this is; empty for that of a server that was once the only one. Blocks."""
    try:
        return (folder / _NAME).read_text("ascii").strip()
    except FileNotFoundError:
        return ""


def name_log(folder: Path, node: str) -> None:
    """Make a new folder this node's; one that holds a log already keeps that, and its key.

    Blocks. Raises LogOfAnother.
    """
    found = log_name(folder)
    if found and node and found != node:
        raise LogOfAnother
    if node and not found and not (folder / _LOG).exists():
        write_whole(folder / _NAME, f"{node}\n".encode("ascii"))
