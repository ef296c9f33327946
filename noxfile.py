"""Every check of the project, by name; `nox` alone runs what CI runs.

The sessions run in the environment that nox itself runs in, so a check takes no second set-up.
Only `pythons` makes environments of its own: it builds one wheel and tests that wheel on every
supported Python.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import product
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]

SWEEP_SCENARIOS = ("smoke", "bracket", "bracket_no_groups")
SWEEP_FAULTS = "cancel,sigterm,kill"
SWEEP_SEED = 1
SWEEP_STRIDE = 1
"""The share of a pull request: every Nth scheduling step. 1 tries them all."""
MUTANT_STRIDE = 1
"""A broken variant is run at every Nth step. Each must be caught at this stride."""

CHECKED = ("src", "tests", "benchmarks", "examples", "scripts", "noxfile.py", "docs/conf.py")
"""What ruff reads."""
TYPED = ("src", "tests", "benchmarks", "examples", "scripts", "noxfile.py")
"""What mypy reads."""

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "imports", "tests", "sweep", "docs"]

# The tests start hundreds of processes: each would compile the whole runtime anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def python(session: nox.Session, *args: str) -> None:
    """Run this environment's Python, not whichever comes first on the path."""
    session.run(sys.executable, *args)


def present(paths: tuple[str, ...]) -> list[str]:
    """Those of the paths that exist."""
    return [path for path in paths if Path(path).exists()]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, likely bugs, lost cancellations, missing docstrings."""
    python(session, "-m", "ruff", "check", *present(CHECKED))
    python(session, "-m", "ruff", "format", "--check", *present(CHECKED))


@nox.session
def types(session: nox.Session) -> None:
    """Strict types."""
    python(session, "-m", "mypy", *present(TYPED))


@nox.session
def imports(session: nox.Session) -> None:
    """Import only what outlives you."""
    python(
        session,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-logo",
    )


def workers() -> list[str]:
    """One process of tests more than there are cores: many a test waits for a process of its own.

    Whichever runs out of tests takes some of the others', for a few take as long as hundreds.
    """
    return ["-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal"]


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on every core. Arguments after `--` go to pytest instead."""
    python(session, "-m", "pytest", *(session.posargs or workers()))


@nox.session
def coverage(session: nox.Session) -> None:
    """The tests once more, with branch coverage; too little of it is an error."""
    python(session, "-m", "pytest", *workers(), "--cov", "--cov-report=term", *session.posargs)


def run_sweep(
    session: nox.Session, *which: str, stride: int, seed: int, mutant: bool = False
) -> str:
    """Run one sweep, of a scenario or of a mutant in its own; return a mutant's line of JSON."""
    output = session.run(
        sys.executable,
        *("-m", "trade_runtime", "sweep", "--json"),
        *which,
        *("--faults", SWEEP_FAULTS, "--stride", str(stride), "--seed", str(seed)),
        silent=mutant,
        success_codes=[1] if mutant else [0],  # 1: a violation was found
    )
    return str(output).strip().splitlines()[-1] if mutant else ""


def run_mutants(session: nox.Session, *, stride: int, seed: int) -> None:
    """Demand that the sweep catches every named broken variant."""
    listing = session.run(
        sys.executable, "-m", "trade_runtime", "sweep", "--list-mutants", silent=True
    )
    mutants = [line.split()[0] for line in str(listing).splitlines() if line.strip()]
    if not mutants:
        session.error("there is no broken variant: nothing shows that the sweep can fail")
    for mutant in mutants:
        # An exit code of 1 may also be a crash, so the count of violations decides.
        told = run_sweep(session, "--mutant", mutant, stride=stride, seed=seed, mutant=True)
        verdict = json.loads(told)
        if not verdict["violations"]:
            session.error(f"the sweep did not catch {mutant}")
        session.log(f"caught {mutant}: {verdict['runs']} runs")


@nox.session
def sweep(session: nox.Session) -> None:
    """Stop each scenario in every way at every step; catch every broken variant."""
    for scenario in SWEEP_SCENARIOS:
        run_sweep(session, "--scenario", scenario, stride=SWEEP_STRIDE, seed=SWEEP_SEED)
    run_mutants(session, stride=MUTANT_STRIDE, seed=SWEEP_SEED)


@nox.session(name="sweep-full")
def sweep_full(session: nox.Session) -> None:
    """Sweep every step under ten seeds, and every broken variant at every step."""
    for scenario, seed in product(SWEEP_SCENARIOS, range(1, 11)):
        run_sweep(session, "--scenario", scenario, stride=1, seed=seed)
    run_mutants(session, stride=1, seed=SWEEP_SEED)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    build = ["-E", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"]
    python(session, "-m", "sphinx", *build)


@nox.session
def clients(session: nox.Session) -> None:
    """Have clients that others wrote trade on the local exchange, each in its own environment.

    Arguments after `--` are names of scripts in `tests/clients`.
    """
    envs = Path(session.cache_dir) / "clients"
    python(session, "tests/clients/run.py", "--envs", str(envs), *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """The slow tests, and those of real processes with their full numbers."""
    select = ["-m", "slow or process", *session.posargs]
    session.run(sys.executable, "-m", "pytest", *select, env={"TRADE_RUNTIME_FULL": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark; each prints JSON."""
    for path in sorted(Path("benchmarks").glob("bench_*.py")):
        python(session, str(path), *session.posargs)


@nox.session(name="build-wheel", venv_backend="none")
def build_wheel(session: nox.Session) -> None:
    """Build the one wheel that `pythons` tests."""
    for old in Path("dist").glob("*.whl"):
        old.unlink()
    python(session, "-m", "pip", "wheel", "-q", "--no-deps", "-w", "dist", ".")


@nox.session(python=PYTHONS, venv_backend="virtualenv", requires=["build-wheel"])
def pythons(session: nox.Session) -> None:
    """Test the built wheel, not the source tree, on every supported Python."""
    (wheel,) = Path("dist").glob("trade_runtime-*.whl")
    session.install("-q", f"{wheel}[dev]")
    session.run("python", "-m", "pytest", *session.posargs)
