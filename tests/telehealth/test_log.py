"""What may stand in a log line."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from telehealth.log import configure, get_logger

early = get_logger("made.before.configure")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    configure(out)
    yield out
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_field_that_is_not_allowed_is_not_written(stream: io.StringIO) -> None:
    early.info("visit.opened", visit="vis_x", patient_name="CANARY")
    line = json.loads(stream.getvalue())
    assert line["visit"] == "vis_x"
    assert line["logger"] == "made.before.configure"
    assert "CANARY" not in stream.getvalue()


def test_an_exception_is_named_by_type_and_place_only(stream: io.StringIO) -> None:
    try:
        raise ValueError("CANARY")
    except ValueError:
        early.exception("seal.failed", recording="rec_x")
    line = json.loads(stream.getvalue())
    assert line["exception_type"] == "ValueError"
    assert line["where"].startswith(f"{__name__}:")
    assert "CANARY" not in stream.getvalue()


def test_other_libraries_say_where_but_not_what(stream: io.StringIO) -> None:
    logging.getLogger("some.library").error("user %s failed", "CANARY")
    assert json.loads(stream.getvalue())["logger"] == "some.library"
    assert "CANARY" not in stream.getvalue()
