"""The replay server, as fast as its clients read, in a process of its own. Prints its port."""

import sys
from functools import partial
from pathlib import Path

import trio

from trade_runtime.replay import serve_replay


async def main() -> None:
    """Serve until killed."""
    serve = partial(serve_replay, Path(sys.argv[1]), port=0, speed="max", at_end="hold")
    async with trio.open_nursery() as nursery:
        print(await nursery.start(serve), flush=True)


trio.run(main)
