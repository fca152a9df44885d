"""One event, one line of JSON, wherever it comes from."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from admin import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_event_is_one_line_with_the_request_id(stream: io.StringIO) -> None:
    logs.configure("info", stream=stream)
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("idnode.test").info("identifier_put", suffix="泵\n1")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["event"] == "identifier_put"
    assert event["request_id"] == "r-1"
    assert event["suffix"] == "泵\n1"
    assert event["level"] == "info"
    assert event["timestamp"].endswith("Z")


def test_level_silences_what_is_below(stream: io.StringIO) -> None:
    logs.configure("warning", stream=stream)
    structlog.get_logger("idnode.test").info("unheard")
    logging.getLogger("aiohttp.server").info("unheard")
    assert stream.getvalue() == ""


def test_exception_of_a_library_is_one_line_too(stream: io.StringIO) -> None:
    logs.configure("info", stream=stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["logger"] == "aiohttp.server"
    assert event["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("terminal", [False, True])
def test_local_variables_stay_out_of_tracebacks(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    logs.configure("info", stream=stream)

    def authenticate(token: str) -> None:
        raise ValueError(f"{len(token)} characters")

    secret = "-".join(("must", "not", "be", "seen"))  # not in a line of the source
    try:
        authenticate(secret)
    except ValueError:
        structlog.get_logger("idnode.test").exception("request_failed")
    assert "ValueError" in stream.getvalue()
    assert secret not in stream.getvalue()
