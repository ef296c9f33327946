"""A program with a runtime inside: waits for the grid to stand, ends the runtime, and looks round.

Usage: embedding.py CONFIG cancel|leave|request|raise. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from typing import Any

import trio

from trade_runtime import Runtime, Settings, open_runtime
from trade_runtime.cli.logs import FdHandler, configure_logs


def _fds() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(found)


def _tasks() -> int:
    def count(task: trio.lowlevel.Task) -> int:
        return 1 + sum(count(c) for n in task.child_nurseries for c in n.child_tasks)

    root = trio.lowlevel.current_root_task()
    assert root is not None
    return count(root)


async def _grid(runtime: Runtime) -> None:
    trading = runtime.trading
    assert trading is not None
    with trio.fail_after(30):
        while True:
            live = list(trading.orders.trading.live())
            entries = [o for o in live if not o.spec.protective and o.state == "open"]
            if len(entries) == 50 and any(o.spec.protective and o.state == "open" for o in live):
                return
            await trio.sleep(0.01)


async def main(config: str, how: str) -> None:
    settings = Settings.from_toml(config)
    configure_logs("INFO", stop_level="INFO", json=False, handler=FdHandler(2))
    fds, tasks, raised = _fds(), _tasks(), ""
    runtime: Any = None
    began = 0.0
    try:
        with trio.CancelScope() as scope:
            async with open_runtime(settings) as runtime:
                await _grid(runtime)
                began = trio.current_time()
                if how == "cancel":
                    scope.cancel()
                    await trio.sleep_forever()
                elif how == "request":
                    runtime.request_stop("asked by the test")
                    await runtime.stopped()
                elif how == "raise":
                    raise RuntimeError("the host failed")
    except RuntimeError as error:
        raised = f"{type(error).__name__}: {error}"
    took = trio.current_time() - began
    logging.getLogger().handlers.clear()
    told = {
        "report": runtime.report.as_dict(),
        "took_secs": took,
        "fds_before": fds,
        "fds_after": _fds(),
        "tasks_before": tasks,
        "tasks": _tasks(),
        "threads": [thread.name for thread in threading.enumerate()],
        "raised": raised,
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
