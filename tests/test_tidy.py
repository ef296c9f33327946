"""The project's own style, enforced: every rule is proven able to fail, then applied."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import tidy

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "trade_runtime"

# Who may use what, and why. A key is a file, or a folder with a slash at its end, under
# src/trade_runtime. An allowance that its file no longer needs fails the test: take it out.
ALLOWED_CLOCKS = {
    "lifecycle/clock.py": "the one home of the wall clock; everyone else is passed a clock",
    "backtest/engine.py": "measures how long its own loop takes; nothing in a run sees that",
    "cli/progress.py": "how many events a second a person is shown",
}
ALLOWED_ENTROPY = {
    "lifecycle/clock.py": "the one home of fresh seeds; everyone else is passed a seeded source",
    "cli/": "draws the seed and the run's id, and passes them in",
}
ALLOWED_THREADS = {
    "cli/": "watches the loop from outside it",
    "workers.py": "spreads a sweep over processes",
    "stores/sqlite/store.py": 'waits for the disk where durability is "power"',
}

RULES = {
    "clock": (tidy.CLOCKS, ALLOWED_CLOCKS),
    "entropy": (tidy.ENTROPY, ALLOWED_ENTROPY),
    "thread": (tidy.THREADS, ALLOWED_THREADS),
}

# Spelled with a gap, so that this file does not hold what it looks for.
PRIVATE_WORDS = tuple(
    word.replace("~", "")
    for word in (
        "/wo~rk/",
        "/tmp/ba~sh_jobs",
        "issu~es show",
        "requirem~ents.md",
        "convent~ions.md",
        "pee~rs.md",
        "reliabil~ity.md",
        "clau~de",
        "anthro~pic",
        "chat~gpt",
        "co-auth~ored-by",
    )
)
SHARED_FOLDER = "../sha~red/".replace("~", "")
RECORDED_DATA = SHARED_FOLDER + "data"


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """A module's path as the allow-lists write it."""
    return path.relative_to(PACKAGE).as_posix()


def is_under(name: str, key: str) -> bool:
    """Whether an allowance covers a file."""
    return name == key or (key.endswith("/") and name.startswith(key))


def tracked_files() -> list[Path]:
    """Every file under version control; where there is none (a source archive), a skip."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def report(findings: list[tuple[str, tidy.Finding]]) -> str:
    """The findings, one a line, as an editor understands them."""
    return "\n".join(f"{name}:{finding.line}: {finding.what}" for name, finding in findings)


class TestCheckers:
    """Each rule fails on a snippet that breaks it, and passes one that does not."""

    @pytest.mark.parametrize(
        "snippet",
        [
            "import time\ntime.monotonic()",
            "import time as clock\nnow = clock.time_ns",
            "from time import perf_counter",
            "from datetime import datetime\ndatetime.now(UTC)",
            "import datetime as dt\ndt.datetime.utcnow()",
            "from datetime import date\ndate.today()",
        ],
    )
    def test_finds_clocks(self, snippet: str) -> None:
        """A clock is found however it was imported, called or only named."""
        assert tidy.uses(snippet, tidy.CLOCKS)

    @pytest.mark.parametrize(
        "snippet",
        [
            "import random\nrandom.random()",
            "from random import choice",
            "import uuid\nuuid.uuid4()",
            "import secrets\nsecrets.token_hex()",
            "from secrets import token_hex",
            "import os\nos.urandom(8)",
        ],
    )
    def test_finds_entropy(self, snippet: str) -> None:
        """The shared generator and the system's entropy are found."""
        assert tidy.uses(snippet, tidy.ENTROPY)

    @pytest.mark.parametrize(
        "snippet",
        [
            "import threading\nthreading.Thread()",
            "from threading import Lock",
            "import trio\nawait trio.to_thread.run_sync(f)",
            "from trio import to_thread\nto_thread.run_sync",
            "import concurrent.futures\nconcurrent.futures.ThreadPoolExecutor()",
            "import concurrent.futures as pools\npools.ThreadPoolExecutor()",
        ],
    )
    def test_finds_threads(self, snippet: str) -> None:
        """Threads are found, also those that Trio starts."""
        assert tidy.uses(snippet, tidy.THREADS)

    def test_passes_what_is_passed_in(self) -> None:
        """A seeded generator, a given clock and a parsed date are what the rule asks for."""
        snippet = (
            "import random, datetime, trio\n"
            "rng = random.Random(7)\n"
            "rng.random()\n"
            "self.clock.monotonic()\n"
            "datetime.datetime.fromisoformat(text)\n"
            "trio.current_time()\n"
        )
        for banned, _ in RULES.values():
            assert [] == tidy.uses(snippet, banned)

    @pytest.mark.parametrize(
        "snippet",
        [
            "async def f(): ...",
            "import trio",
            "import trio.testing as t",
            "from trio.abc import Clock",
        ],
    )
    def test_finds_async_in_a_machine(self, snippet: str) -> None:
        """A coroutine and any import of trio are found."""
        assert tidy.async_in_machine(snippet)

    def test_passes_a_machine(self) -> None:
        """Plain functions, and modules whose names only begin alike, pass."""
        assert [] == tidy.async_in_machine("import triology\ndef step(event): ...")

    def test_finds_a_missing_docstring(self) -> None:
        """A comment is not a docstring; a string on top is."""
        assert tidy.missing_docstring("# about\nx = 1")
        assert [] == tidy.missing_docstring('"""About."""\nx = 1')

    def test_finds_a_long_file(self) -> None:
        """The limit itself passes, one line more does not."""
        assert [] == tidy.too_long("\n" * tidy.MAX_LINES)
        assert tidy.too_long("\n" * (tidy.MAX_LINES + 1))

    def test_finds_private_words(self) -> None:
        """A word is found in either case, with its line."""
        assert [tidy.Finding(2, "Secret")] == tidy.forbidden_words("a\nthe Secret", ("secret",))
        assert [] == tidy.forbidden_words("nothing", ("secret",))

    def test_allowances_cover_files_and_folders(self) -> None:
        """A folder covers what is under it, and not a file that begins alike."""
        assert is_under("cli/main.py", "cli/")
        assert is_under("lifecycle/clock.py", "lifecycle/clock.py")
        assert not is_under("client.py", "cli/")
        assert not is_under("lifecycle/clock.py", "lifecycle/clo")


class TestProject:
    """The rules, applied."""

    def test_modules_say_what_they_are(self) -> None:
        """Every module begins with a docstring."""
        found = [
            (name_of(path), finding)
            for path in modules()
            for finding in tidy.missing_docstring(path.read_text(encoding="utf-8"))
        ]
        assert not found, report(found)

    def test_modules_are_short(self) -> None:
        """No module is longer than a reader can hold."""
        found = [
            (name_of(path), finding)
            for path in modules()
            for finding in tidy.too_long(path.read_text(encoding="utf-8"))
        ]
        assert not found, report(found)

    def test_values_and_machines_are_synchronous(self) -> None:
        """model/ and machines/ hold no coroutine and import no trio."""
        found = [
            (name_of(path), finding)
            for path in modules()
            if name_of(path).startswith(("model/", "machines/"))
            for finding in tidy.async_in_machine(path.read_text(encoding="utf-8"))
        ]
        assert not found, report(found)

    @pytest.mark.parametrize("rule", RULES)
    def test_nothing_but_what_is_passed_in(self, rule: str) -> None:
        """No clock, entropy or thread outside the named files."""
        banned, allowed = RULES[rule]
        found = [
            (name_of(path), finding)
            for path in modules()
            if not any(is_under(name_of(path), key) for key in allowed)
            for finding in tidy.uses(path.read_text(encoding="utf-8"), banned)
        ]
        assert not found, report(found)

    @pytest.mark.parametrize("rule", RULES)
    def test_no_allowance_is_left_over(self, rule: str) -> None:
        """A file that is allowed something still exists and still needs it."""
        banned, allowed = RULES[rule]
        for key, reason in allowed.items():
            covered = [path for path in modules() if is_under(name_of(path), key)]
            if key.endswith("/"):
                continue  # a folder is a boundary, not a need
            assert covered, f"{key} is gone: take its allowance out"
            assert reason
            assert any(tidy.uses(path.read_text(encoding="utf-8"), banned) for path in covered), (
                f"{key} no longer uses a {rule}: take its allowance out"
            )

    def test_files_speak_of_the_project_alone(self) -> None:
        """No file names the machine or the tools that it was written with."""
        found = []
        for path in tracked_files():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # recorded data
            text = text.replace(RECORDED_DATA, "")
            words = (*PRIVATE_WORDS, SHARED_FOLDER)
            name = path.relative_to(ROOT).as_posix()
            found += [(name, finding) for finding in tidy.forbidden_words(text, words)]
        assert not found, report(found)
