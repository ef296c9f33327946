"""What a process of its own comes to: the JSON that it ends with, and the memory that it had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LAUNCHER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Between us and what is measured: Linux counts the memory of who starts a process as its own."""


def run(command: list[str], folder: Path | None = None) -> tuple[dict[str, Any], float]:
    """Return the JSON that a process ends with, and the most memory that it had, in MiB."""
    launched = [sys.executable, "-S", "-c", LAUNCHER, *command]
    done = subprocess.run(launched, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
    *_, last, most = done.stdout.splitlines()
    per_mib = 2**20 if sys.platform == "darwin" else 2**10
    found: dict[str, Any] = json.loads(last)
    return found, int(most) / per_mib
