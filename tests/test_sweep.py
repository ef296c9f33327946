"""The sweep: a runtime keeps its promises at the steps tried here, and every mutant is caught.

`python -m trade_runtime sweep` tries every step.
"""

from __future__ import annotations

import json
import signal
from functools import partial

import pytest
from click.testing import CliRunner

from tests.process.support import share
from trade_runtime.cli.signals import handle_signals
from trade_runtime.cli.sweep import sweep_command
from trade_runtime.testing.life import plain_signals, run_life
from trade_runtime.testing.mutants import MUTANTS
from trade_runtime.testing.oracle import judge
from trade_runtime.testing.scenarios import SCENARIOS, Scenario
from trade_runtime.testing.sweep import FAULTS, until_found
from trade_runtime.testing.sweep import sweep as sweep_in_processes
from trade_runtime.testing.world import World

SMOKE = SCENARIOS["smoke"]

# In this process: the tests keep every processor busy already, and a second worker would try more
# steps than it takes to catch a mutant.
sweep = partial(sweep_in_processes, jobs=1)

BRACKETS = [SCENARIOS["bracket"], SCENARIOS["bracket_no_groups"]]

REQUIRED_MUTANTS = {
    "siblings_left",
    "amend_before_journal",
    "send_before_journal",
    "unshielded_close",
    "plain_nurseries",
    "halt_gate_open",
    "cancel_stops_first",
    "resend_unknown",
    "no_fill_dedup",
    "flush_skipped",
    "state_after_its_fill",
    "missed_fills_untold",
}


@pytest.mark.slow
def test_a_strided_sweep_finds_nothing() -> None:
    """Cancel, SIGTERM as the command line handles it, and kill, at steps all along the run."""
    stride = share(46, 23)
    result = sweep("smoke", stride=stride, signals=handle_signals)
    assert () == result.found
    assert result.tried == len(range(1, result.steps + 1, stride)) * len(FAULTS)
    assert result.distinct_crash_states > result.tried / 2
    assert set(SMOKE.must_see) - set(result.marks) <= {
        "an order never arrived, and was given up",
        "an order of unknown outcome turned out to rest",
    }


@pytest.mark.parametrize("seed", range(1, 13))
def test_undisturbed_runs_keep_their_promises(seed: int) -> None:
    """Other prices, faults and schedules: a run and its ordered stop are judged."""
    world = World(SMOKE, seed)
    run_life(world, SMOKE.run_secs, signals=plain_signals)
    assert [] == judge(world)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", BRACKETS, ids=lambda one: one.name)
def test_a_strided_sweep_of_brackets_finds_nothing(scenario: Scenario) -> None:
    """At a venue that sees to groups, and at one where the runtime has to."""
    result = sweep(scenario.name, stride=share(22, 11))
    assert () == result.found
    assert set() == set(scenario.must_see) - set(result.marks)


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("scenario", BRACKETS, ids=lambda one: one.name)
def test_undisturbed_brackets_keep_their_promises(scenario: Scenario, seed: int) -> None:
    """Each run changes orders, and each change that leaves is noted for the judge."""
    world = World(scenario, seed)
    run_life(world, scenario.run_secs, signals=plain_signals)
    assert [] == judge(world)
    noted = {note.order_id for note in world.notes if note.what == "amend"}
    asked = {row.client_order_id for row in world.record.history if row.event == "amend_request"}
    assert noted >= asked > set()


@pytest.mark.parametrize("mutant", ["siblings_left", "amend_before_journal"])
def test_what_is_done_wrong_with_exits_shows_with_brackets_alone(mutant: str) -> None:
    """The smoke scenario has none: without the others nobody would have seen it."""
    assert 0 == sweep("smoke", stride=60, mutant=mutant).violations


SEEDS = {"siblings_left": 6, "cancels_unproven": 3}
"""Mutants that show in few lives of the first seed, and in many of another."""

SHOWS_AFTER = {"state_after_its_fill": ["kill"]}
"""Mutants that an ordered stop does not show."""


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_every_mutant_is_caught(mutant: str) -> None:
    """A runtime that breaks a promise does not get through, and the violation can be replayed."""
    scenario = MUTANTS[mutant].scenario
    seed = SEEDS.get(mutant, 1)
    faults = SHOWS_AFTER.get(mutant, FAULTS)
    result = sweep(scenario, faults, seed=seed, stride=13, mutant=mutant, go_on=until_found)
    assert result.violations
    assert f"--mutant {mutant}" in result.found[0].command


def test_the_mutants_that_have_to_be_there_are() -> None:
    """Negative controls are not taken out."""
    assert set(MUTANTS) >= REQUIRED_MUTANTS


def test_the_number_of_processes_does_not_show() -> None:
    """One process and two come to the same, violations too."""
    alone, together = (
        sweep_in_processes(
            "smoke", ["cancel", "kill"], stride=97, mutant="protect_skipped", jobs=jobs
        )
        for jobs in (1, 2)
    )
    assert alone.violations
    assert alone.found == together.found
    assert alone.trace == together.trace


def test_a_signal_before_a_handler_is_there_ends_nothing() -> None:
    """The first steps come before the host handles signals: the run goes on to its end."""
    before = signal.getsignal(signal.SIGTERM)
    result = sweep("smoke", ["sigterm"], step=1)
    assert (0, 1) == (result.violations, result.tried)
    assert before is signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_step_past_the_end_is_no_violation(fault: str) -> None:
    """A replay with another version may ask for a step that no longer exists."""
    assert 0 == sweep("smoke", [fault], step=1_000_000).violations


def test_unknown_names_are_refused() -> None:
    """A name that does not exist is told, with those that do."""
    with pytest.raises(KeyError, match="there are"):
        sweep("nowhere")
    with pytest.raises(KeyError, match="there are"):
        sweep("smoke", ["flood"])
    with pytest.raises(KeyError, match="there are"):
        sweep("smoke", mutant="werewolf")


class TestCommand:
    """`python -m trade_runtime sweep`."""

    def test_lists_mutants(self) -> None:
        """One a line, its name first."""
        told = CliRunner().invoke(sweep_command, ["--list-mutants"])
        assert 0 == told.exit_code
        assert list(MUTANTS) == [line.split()[0] for line in told.stdout.splitlines()]

    def test_ends_with_a_line_of_json(self) -> None:
        """The last line has the figures; all is well, so the status is 0."""
        told = CliRunner().invoke(
            sweep_command, ["--faults", "kill", "--step", "200", "--jobs", "1", "--json"]
        )
        assert 0 == told.exit_code, told.output
        line = json.loads(told.stdout.splitlines()[-1])
        expected = {"scenario", "steps", "runs", "violations", "distinct_crash_states", "seconds"}
        assert expected <= set(line)
        assert 0 == line["violations"]

    def test_a_violation_is_told_with_its_replay(self) -> None:
        """Status 1, what was broken, and the command that shows it again."""
        told = CliRunner().invoke(
            sweep_command, ["--mutant", "halt_gate_open", "--step", "200", "--jobs", "1"]
        )
        assert 1 == told.exit_code
        assert "  replay: python -m trade_runtime sweep --scenario smoke --seed 1" in told.stdout

    def test_a_mutant_is_tried_in_the_scenario_in_which_it_shows(self) -> None:
        """Unless another is named."""
        told = CliRunner().invoke(
            sweep_command, ["--mutant", "amend_before_journal", "--step", "20", "--jobs", "1"]
        )
        assert 1 == told.exit_code
        assert "--scenario bracket --seed 1" in told.stdout

    def test_a_wrong_fault_is_bad_usage(self) -> None:
        """Status 2."""
        assert 2 == CliRunner().invoke(sweep_command, ["--faults", "flood"]).exit_code
