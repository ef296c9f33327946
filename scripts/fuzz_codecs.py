#!/usr/bin/env python3
"""Feed every decoder of every adapter with what nobody meant to send, guided by coverage.

    pip install atheris
    python scripts/fuzz_codecs.py --secs 300                    # all of them
    python scripts/fuzz_codecs.py --secs 60 --only spot.        # those whose name begins so

The targets are those of `tests/support/codecs.py`; another adapter puts its own there. Each run
takes a target, an answer that is right, and spoils it in a few places, or sends bytes as they come.
Anything but a `VenueError`, and anything told that cannot be, stops it with the input that did it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import atheris

with atheris.instrument_imports(include=["trade_runtime"]):
    from tests.support.codecs import JUNK, PAGES, SEEDS, TARGETS, feed, places, put

MOST_SPOILED = 3
"""Places of an answer that are spoiled at once."""


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--secs", type=int, default=60, help="for how long")
    parser.add_argument("--only", default="", help="targets whose name begins so")
    parser.add_argument("--seed", type=int, default=0, help="0 for another each time")
    return parser.parse_args(arguments)


class Fuzzer:
    """Makes inputs, feeds them, and counts.

    Args:
        names: of the targets.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.fed: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.seeds: dict[str, list[tuple[Any, list[tuple[Any, ...]]]]] = {}
        for name in names:
            documents = [json.loads(seed) for seed in SEEDS.get(name, []) or [b"{}"]]
            self.seeds[name] = [(one, places(one)) for one in documents]

    def once(self, data: bytes) -> None:
        """Make one input of what the fuzzer gives, and feed it."""
        give = atheris.FuzzedDataProvider(data)
        name = self.names[give.ConsumeIntInRange(0, len(self.names) - 1)]
        body = self.made(give, name)
        self.fed[name] += 1
        self.told[name] += len(feed(name, body))

    def made(self, give: Any, name: str) -> bytes:
        """Make an input."""
        how = give.ConsumeIntInRange(0, 9)
        if how == 0:
            return bytes(give.ConsumeBytes(4096))
        if how == 1:
            return PAGES[give.ConsumeIntInRange(0, len(PAGES) - 1)]
        document, where = self.seeds[name][give.ConsumeIntInRange(0, len(self.seeds[name]) - 1)]
        for _ in range(give.ConsumeIntInRange(0, MOST_SPOILED)):
            path = where[give.ConsumeIntInRange(0, len(where) - 1)]
            try:
                document = put(
                    document, path, self.junk(give), drop=give.ConsumeProbability() < 0.1
                )
            except (KeyError, IndexError, TypeError):
                break  # what was spoiled before is no place any more
        body = json.dumps(document).encode()
        if how == 2:  # bent after it was written
            at = give.ConsumeIntInRange(0, len(body))
            body = (
                body[:at] + bytes(give.ConsumeBytes(16)) + body[at + give.ConsumeIntInRange(0, 4) :]
            )
        return body

    def junk(self, give: Any) -> Any:
        """Make something to stand where something else was meant."""
        how = give.ConsumeIntInRange(0, 5)
        if how == 0:
            return give.ConsumeInt(9)
        if how == 1:
            return give.ConsumeFloat()
        if how == 2:
            return give.ConsumeUnicodeNoSurrogates(24)
        if how == 3:  # a number as a text
            digits, point = give.ConsumeIntInRange(0, 10**18), give.ConsumeIntInRange(-400, 400)
            return f"{digits}e{point}"
        return JUNK[give.ConsumeIntInRange(0, len(JUNK) - 1)]

    def report(self, took_secs: float) -> str:
        """Say what was fed."""
        runs = sum(self.fed.values())
        lines = [f"{runs} inputs in {took_secs:.0f} s, none of them a crash or a wrong booking"]
        lines += [
            f"  {name}: {self.fed[name]} fed, {self.told[name]} things told" for name in self.names
        ]
        return "\n".join(lines)


def main() -> None:
    """Fuzz for a while."""
    arguments = parsed(sys.argv[1:])
    names = [name for name in sorted(TARGETS) if name.startswith(arguments.only)]
    if not names:
        sys.exit(
            f"no target begins with {arguments.only!r}; there are: {', '.join(sorted(TARGETS))}"
        )
    fuzzer = Fuzzer(names)
    began = time.monotonic()
    until = began + arguments.secs

    def once(data: bytes) -> None:
        if time.monotonic() >= until:
            print(fuzzer.report(time.monotonic() - began), flush=True)
            os._exit(0)  # the fuzzer itself ends with an error where it is stopped
        fuzzer.once(data)

    options = [f"-seed={arguments.seed}", "-max_len=4096", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
