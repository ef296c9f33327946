"""Logs: whole lines, no secrets, and never in the way."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from trade_runtime.cli import logs
from trade_runtime.cli.logs import FdHandler, configure_logs


class Pipe:
    """A reader that a test can stop, and the handler that writes to it."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.handler = FdHandler(self.write_end)
        self.handler.setFormatter(logging.Formatter("%(message)s"))

    def say(self, message: str) -> None:
        record = logging.LogRecord("x", logging.INFO, __file__, 1, message, None, None)
        self.handler.handle(record)

    def read(self) -> str:
        parts = []
        while True:
            try:
                part = os.read(self.read_end, 1 << 20)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts).decode()

    def hang_up(self) -> None:
        os.close(self.read_end)
        self.read_end = -1

    def close(self) -> None:
        for end in (self.read_end, self.write_end):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe, closed afterwards."""
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def configured(pipe: Pipe) -> Iterator[Pipe]:
    """Logging may be configured: what was before is put back."""
    root = logging.getLogger()
    names = ["shutdown", *logs.QUIET]
    before = root.handlers[:], root.level, structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in names}
    yield pipe
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class TestFdHandler:
    """One system call a line."""

    def test_lines_come_out_whole_and_at_once(self, pipe: Pipe) -> None:
        """Nothing waits in a buffer that a forced exit would lose."""
        pipe.say("one")
        assert "one\n" == pipe.read()
        pipe.say("größer ☠ \udcff")
        assert "größer ☠ \\udcff\n" == pipe.read()

    def test_a_line_longer_than_the_pipe_takes_at_once(self, pipe: Pipe) -> None:
        """In pieces, but whole in the end."""
        long = "x" * 20_000
        pipe.say(long)
        pipe.handler.flush()
        assert f"{long}\n" == pipe.read()

    def test_a_reader_that_is_gone_silences_the_log_only(self, pipe: Pipe) -> None:
        """No error, and no more tries."""
        pipe.hang_up()
        pipe.say("one")
        pipe.say("two")
        pipe.handler.flush()

    def test_a_reader_that_stops_reading_holds_nothing_up(
        self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Lines wait up to a bound, the rest is counted and told when it reads again."""
        monkeypatch.setattr(logs, "MAX_WAITING", 5)
        monkeypatch.setattr(logs, "FLUSH_MS", 0)
        line = "x" * 1000
        for _ in range(100):
            pipe.say(line)
        waiting = len(pipe.handler._waiting)
        assert 5 == waiting
        text = ""
        for _ in range(10):
            text += pipe.read()
            pipe.handler.flush()
        text += pipe.read()
        *whole, last = text.splitlines()
        assert {line} == set(whole)
        assert f"{100 - len(whole)} log lines were dropped: nobody read them" == last

    def test_a_message_that_cannot_be_formatted(
        self, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A defect in a log call is no defect in trading."""
        monkeypatch.setattr(logging, "raiseExceptions", False)
        record = logging.LogRecord("x", logging.INFO, __file__, 1, "%d", ("no number",), None)
        pipe.handler.handle(record)
        assert "" == pipe.read()


class TestConfigured:
    """The runtime's lines and those of its libraries, in one shape."""

    def test_json_is_one_object_a_line(self, configured: Pipe) -> None:
        """With level, logger, time and every field; a stack is a field too."""
        configure_logs("INFO", stop_level="INFO", json=True, handler=configured.handler)
        structlog.get_logger("orders").warning("Order rejected", order="t-1", reason="funds")
        try:
            raise ValueError("oops")
        except ValueError as error:
            structlog.get_logger("strategies").error("Strategy failed", exc_info=error)
        logging.getLogger("some.library").warning("careful %s", "there")
        lines: list[dict[str, Any]] = [json.loads(line) for line in configured.read().splitlines()]
        assert [
            ("Order rejected", "warning", "orders"),
            ("Strategy failed", "error", "strategies"),
            ("careful there", "warning", "some.library"),
        ] == [(line["event"], line["level"], line["logger"]) for line in lines]
        assert ("t-1", "funds") == (lines[0]["order"], lines[0]["reason"])
        assert "ValueError: oops" in lines[1]["exception"]
        assert all(line["timestamp"].endswith("Z") for line in lines)

    def test_text_is_for_people(self, configured: Pipe) -> None:
        """Words, then pairs; no colours in a pipe; stacks below."""
        configure_logs("INFO", stop_level="INFO", json=False, handler=configured.handler)
        structlog.get_logger("orders").info("Trading is halted", reason="SIGTERM")
        try:
            raise ValueError("oops")
        except ValueError as error:
            structlog.get_logger("x").error("Failed", exc_info=error)
        text = configured.read()
        assert "Trading is halted" in text
        assert "reason=SIGTERM" in text
        assert "ValueError: oops" in text
        assert "\x1b" not in text

    @pytest.mark.parametrize("json_lines", [True, False])
    def test_secrets_are_masked(self, configured: Pipe, json_lines: bool) -> None:
        """By the name of the field, whoever logs it."""
        configure_logs("INFO", stop_level="INFO", json=json_lines, handler=configured.handler)
        structlog.get_logger("venue").info("Signing in", api_key="hunter2", user="me")
        text = configured.read()
        assert "hunter2" not in text
        assert "***" in text
        assert "me" in text

    def test_levels(self, configured: Pipe) -> None:
        """What is below is not shown; the steps of a stop have a level of their own."""
        configure_logs("WARNING", stop_level="INFO", json=True, handler=configured.handler)
        structlog.get_logger("orders").info("too little")
        structlog.get_logger("orders").error("enough")
        structlog.get_logger("shutdown").info("a step")
        logging.getLogger("httpx").info("chatter")
        events = [json.loads(line)["event"] for line in configured.read().splitlines()]
        assert ["enough", "a step"] == events

    def test_libraries_are_quiet_even_where_we_are_not(self, configured: Pipe) -> None:
        """At DEBUG our own lines are many enough."""
        configure_logs("DEBUG", stop_level="INFO", json=True, handler=configured.handler)
        logging.getLogger("httpx").info("chatter")
        logging.getLogger("httpx").warning("trouble")
        structlog.get_logger("orders").debug("detail")
        events = [json.loads(line)["event"] for line in configured.read().splitlines()]
        assert ["trouble", "detail"] == events
