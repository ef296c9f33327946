"""`sweep`: tries every point at which a runtime could be stopped, and judges what became of it."""

from __future__ import annotations

import json
import sys
from typing import Any

import attrs
import click

from trade_runtime.cli.signals import handle_signals
from trade_runtime.errors import EXIT_USAGE
from trade_runtime.testing.mutants import MUTANTS
from trade_runtime.testing.scenarios import SCENARIOS
from trade_runtime.testing.sweep import FAULTS, SweepResult, sweep, until_found

EXIT_VIOLATION = 1


def _faults(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    faults = FAULTS if value == "all" else tuple(part.strip() for part in value.split(","))
    for fault in faults:
        if fault not in FAULTS:
            raise click.BadParameter(f"no fault {fault!r}; there are: {', '.join(FAULTS)}")
    return tuple(dict.fromkeys(faults))


@click.command("sweep")
@click.option(
    "--scenario",
    type=click.Choice(sorted(SCENARIOS)),
    help="What trades.  [default: smoke, or the one in which the mutant shows]",
)
@click.option(
    "--faults",
    callback=_faults,
    default=",".join(FAULTS),
    show_default=True,
    help="Which to inject, joined by commas; all for every one.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Try every so many scheduling steps.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--step", type=click.IntRange(min=1), help="Try this step only: replays a violation.")
@click.option(
    "--mutant",
    type=click.Choice(sorted(MUTANTS)),
    metavar="NAME",
    help="Break the runtime on purpose, and end with the first violation: passing shows a hole.",
)
@click.option("--list-mutants", is_flag=True, help="Name every mutant, and what it breaks.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; by default one a processor.")
@click.option("--json", "as_json", is_flag=True, help="End with a line of JSON.")
def sweep_command(
    scenario: str | None,
    faults: tuple[str, ...],
    stride: int,
    seed: int,
    step: int | None,
    mutant: str | None,
    list_mutants: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Stop a runtime at every scheduling step of a scenario, in every way, and judge it.

    Exit code 0: every promise was kept; 1: one was broken, with the command that replays it; 2: bad
    usage.
    """
    if list_mutants:
        for name, known in MUTANTS.items():
            click.echo(f"{name}  {known.about}")
        return
    if sys.flags.optimize:
        click.echo("error: a sweep needs its assertions: run it without -O", err=True)
        sys.exit(EXIT_USAGE)
    result = sweep(
        scenario or ("smoke" if mutant is None else MUTANTS[mutant].scenario),
        faults,
        stride=stride,
        seed=seed,
        step=step,
        mutant=mutant,
        jobs=jobs,
        signals=handle_signals,
        go_on=lambda *so_far: _progress(*so_far) and (mutant is None or until_found(*so_far)),
    )
    _tell(result)
    if as_json:
        click.echo(json.dumps(_line(result)))
    sys.exit(0 if result.passed else EXIT_VIOLATION)


def _progress(tried: int, total: int, violations: int) -> bool:
    if sys.stderr.isatty():
        click.echo(f"\r{tried} of {total} tried, {violations} violations ", nl=False, err=True)
        if tried == total:
            click.echo(err=True)
    return True


def _tell(result: SweepResult) -> None:
    for violation in result.found:
        click.echo(f"{violation.fault} at step {violation.step}: {violation.what}")
        click.echo(f"  replay: {violation.command}")
    if result.violations > len(result.found):
        click.echo(f"and {result.violations - len(result.found)} more")
    for mark in result.unseen:
        click.echo(f"never seen: {mark}")
    click.echo(
        f"{result.scenario}, seed {result.seed}: {result.steps} steps,"
        f" {result.tried} stops tried, {result.runs} lives,"
        f" {result.distinct_crash_states} distinct crash states, {result.violations} violations,"
        f" {result.seconds} s ({result.versions})"
    )


def _line(result: SweepResult) -> dict[str, Any]:
    return {
        "scenario": result.scenario,
        "seed": result.seed,
        "mutant": result.mutant,
        "faults": list(result.faults),
        "stride": result.stride,
        "steps": result.steps,
        "runs": result.runs,
        "tried": result.tried,
        "violations": result.violations,
        "distinct_crash_states": result.distinct_crash_states,
        "seconds": result.seconds,
        "trace": result.trace,
        "marks": result.marks,
        "unseen": list(result.unseen),
        "versions": result.versions,
        "details": [attrs.asdict(violation) for violation in result.found],
    }
