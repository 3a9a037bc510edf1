"""What `telehealth doctor` can see of the destinations without a running server. Blocks; changes nothing."""

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from telehealth.outward.settings import Outward
from telehealth.syslog import Stream

PATIENCE = 3.0  # seconds for the collector


class Seen(NamedTuple):
    what: str
    state: Literal["well", "note", "wrong"]
    text: str
    mend: str = ""


def look(section: Outward, audit: Path) -> Iterator[Seen]:
    """`audit`: the log's folder."""
    for name, path in (("json", section.json_file), ("ecs", section.ecs_file)):
        if path:
            yield _file(f"outward.{name}_file", path)
            yield from _behind(name, audit)
    if section.syslog:
        yield _collector(section)
        yield from _behind("syslog", audit)


def _file(what: str, name: str) -> Seen:
    if name == "-":
        return Seen(what, "well", "standard output")
    path = Path(name)
    there = path if path.exists() else path.absolute().parent
    if os.access(there, os.W_OK):
        return Seen(what, "well", name)
    return Seen(what, "wrong", f"{name} cannot be written", f"sudo install -d -m 700 -o $USER {path.absolute().parent}")


def _collector(section: Outward) -> Seen:
    try:
        stream = Stream(section.collector, PATIENCE)
    except ssl.SSLCertVerificationError:
        text = f"{section.syslog} shows a certificate that we do not trust, or of another name"
        return Seen("outward.syslog", "wrong", text, "Correct outward.syslog_ca_file, or the collector's certificate.")
    except (OSError, ValueError) as error:
        text = f"{section.syslog} cannot be reached ({type(error).__name__})"
        return Seen("outward.syslog", "wrong", text, "Nothing is lost meanwhile: entries wait in the log.")
    stream.close()
    return Seen("outward.syslog", "well", f"{section.syslog} answers")


def _behind(name: str, audit: Path) -> Iterator[Seen]:
    """How far the cursor on disk is behind the signed head."""
    try:
        mark = json.loads((audit / "outward" / f"{name}.json").read_bytes())["next"]
        size = int((audit / "checkpoint").read_text("utf-8").split("\n")[1])
    except (OSError, ValueError, KeyError, IndexError):
        return  # nothing was sent yet
    if size > mark:
        yield Seen(f"outward.{name}", "note", f"{size - mark} entries are not confirmed", "telehealth outward status")
    else:
        yield Seen(f"outward.{name}", "well", f"all {size} entries are there")
