"""What a client's script tells the runner: one line of JSON for each thing that it tried."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

URL = os.environ.get("EXCHANGE_URL", "")
WS_URL = URL.replace("http", "ws", 1)
API_KEY = os.environ.get("EXCHANGE_KEY", "")
API_SECRET = os.environ.get("EXCHANGE_SECRET", "")


class NotOffered(Exception):
    """The client has no way of doing this; the text says why."""


def expect(holds: object, what: object = "") -> None:
    """Fail where something does not hold."""
    if not holds:
        raise AssertionError(f"not as expected: {what}")


def control(path: str, asked: object = None) -> Any:
    """Ask the exchange's own control endpoint."""
    data = None if asked is None else json.dumps(asked).encode()
    with urllib.request.urlopen(f"{URL}/_control/{path}", data=data, timeout=10) as answer:
        return json.load(answer)


def run(checks: dict[str, Callable[[], Any]]) -> None:
    """Try each thing, one after the other, and tell how it went."""
    for what, check in checks.items():
        told = {"what": what, "ok": True, "why": ""}
        try:
            outcome = check()
            if inspect.isawaitable(outcome):
                asyncio.run(outcome)
        except NotOffered as why:
            told.update(ok=None, why=str(why))
        except Exception as error:
            told.update(ok=False, why=f"{type(error).__name__}: {error}"[:500])
        print(json.dumps(told))
        sys.stdout.flush()


async def arun(checks: dict[str, Callable[[], Any]]) -> None:
    """Try each thing within one event loop."""
    for what, check in checks.items():
        told = {"what": what, "ok": True, "why": ""}
        try:
            await asyncio.wait_for(check(), 20)
        except NotOffered as why:
            told.update(ok=None, why=str(why))
        except Exception as error:
            told.update(ok=False, why=f"{type(error).__name__}: {error}"[:500])
        print(json.dumps(told))
        sys.stdout.flush()
