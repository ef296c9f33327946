"""A made-up recording of Binance's streams, and the programs that serve it, each in a process."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trade_runtime.serving.wire import text_frame

BEGAN_NS = 1_700_000_000_000_000_000
GAP_NS = 1_000_000
CHANGES_PER_SEC = 10
"""As the stream `depth@100ms` has them."""

LEAD = 300
"""Frames at the beginning that are not timed: the server waits until books have been opened. The
last of them is a trade, too."""

HERE = Path(__file__).parent


def frames(count: int) -> Iterator[tuple[int, str]]:
    """Return the frames of a market, each with its time: two quotes to a trade.

    Each third one is a trade, whose id is the frame's number. `count` is to be divisible by three,
    so that the last one is a trade.
    """
    draw = random.Random(5)
    cents = 250_000
    for number in range(1, count + 1):
        at_ns = BEGAN_NS + number * GAP_NS
        ms = at_ns // 1_000_000
        moved = cents + draw.choice((-1, 0, 1))
        size = f"{draw.randrange(1, 90_000) / 10_000:.4f}0000"
        if number % (1000 // CHANGES_PER_SEC) == 1 and number % 3:
            data: dict[str, Any] = {"e": "depthUpdate", "E": ms, "s": "ETHUSDT"}
            data |= {"U": number * 10, "u": (number + 99) * 10 + 9}
            data["b"] = [[price(cents - 10 - depth), size] for depth in range(10)]
            data["a"] = [[price(cents + 10 + depth), size] for depth in range(10)]
            kind = "depth@100ms"
        elif number % 3 == 0:
            data = {"e": "trade", "E": ms, "s": "ETHUSDT", "t": number, "p": price(cents)}
            data |= {"q": size, "T": ms, "m": draw.random() < 0.5, "M": True}
            kind = "trade"
        else:
            cents = moved
            data = {"u": number * 10, "s": "ETHUSDT", "b": price(cents), "B": size}
            data |= {"a": price(cents + 1), "A": size}
            kind = "bookTicker"
        frame = {"stream": f"ethusdt@{kind}", "data": data}
        yield at_ns, json.dumps(frame, separators=(",", ":"))


def price(cents: int) -> str:
    """Return a price as Binance writes it."""
    return f"{cents // 100}.{cents % 100:02}000000"


def record(path: Path, count: int) -> bytes:
    """Write a recording of `count` frames; return the bytes that a client is sent of it."""
    sent = bytearray()
    with path.open("w", encoding="ascii") as file:
        for at_ns, text in frames(count):
            file.write(f"{at_ns} {text}\n")
            sent += text_frame(text.encode())
    return bytes(sent)


@contextmanager
def server(program: str, *args: str | Path) -> Iterator[int]:
    """Run a program of this folder until the block is left; give the port that it says it has."""
    command: Sequence[str] = [sys.executable, str(HERE / program), *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
