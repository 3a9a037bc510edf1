"""One byte string per JSON value, so that hashes and signatures mean something."""

import json
from collections.abc import Mapping, Sequence

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: Json) -> bytes:
    """UTF-8 JSON: keys sorted, no space, no floats. Raises TypeError for anything else."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parse_canonical(data: bytes) -> dict[str, Json]:
    """The object that `canonical` wrote. Raises ValueError for bytes `canonical` would not have written."""
    value = json.loads(data.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float)
    if not isinstance(value, dict) or canonical(value) != data:
        raise ValueError("not canonical")
    return value


def _no_float(_text: str) -> Json:
    raise ValueError("no floats here")


def _refuse_floats(value: object) -> None:
    match value:
        case None | bool() | int() | str():
            return
        case Mapping():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise TypeError("keys are strings")
                _refuse_floats(inner)
        case list() | tuple():
            for inner in value:
                _refuse_floats(inner)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")
