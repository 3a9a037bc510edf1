"""Writes tests/vectors/envelope.json from fixed keys; run by hand when the format changes, never by a test."""

import base64
import hashlib
import json
from pathlib import Path

from recordings.envelope import SegmentWriter
from telehealth.secret import Secret

RECORDING, FILE = "rec_" + "a2" * 13, "fil_" + "b7" * 13
TARGET = Path(__file__).parent.parent / "vectors" / "envelope.json"
CASES: dict[str, tuple[list[str], bool]] = {
    "one short segment": (["68656c6c6f"], True),
    "three segments": (["00" * 40, "ff" * 17, "61"], True),
    "an empty file": ([""], True),
    "an empty last segment": (["0102", ""], True),
    "interrupted after two": (["aa" * 5, "bb" * 6], False),
}


def vectors() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for name, (segments, ended) in CASES.items():
        dek, salt = (hashlib.sha256(f"{what} {name}".encode()).digest() for what in ("dek", "salt"))
        writer = SegmentWriter(Secret(dek), RECORDING, FILE, lambda _n, salt=salt: salt)
        sealed = [writer.seal(bytes.fromhex(s), ended and i == len(segments) - 1) for i, s in enumerate(segments)]
        file = base64.b64encode(writer.header + b"".join(sealed)).decode()
        made.append(
            {"name": name, "recording_id": RECORDING, "file_id": FILE, "dek": dek.hex(), "salt": salt.hex(),
             "segments": segments, "ended": ended, "file": file}
        )  # fmt: skip
    return made


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(vectors(), indent=1) + "\n")
