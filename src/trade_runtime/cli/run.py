"""`run CONFIG`, and the demo: from a configuration to an exit code."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
import structlog
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.logs import FdHandler, configure_logs
from trade_runtime.cli.preflight import preflight
from trade_runtime.cli.signals import SignalGuard
from trade_runtime.errors import EXIT_UNCLEAN, TradeRuntimeError
from trade_runtime.lifecycle.report import StopReport
from trade_runtime.runtime import Runtime, create_runtime, run_runtime
from trade_runtime.settings import Settings
from trade_runtime.verdict import make_report

if TYPE_CHECKING:
    from trade_runtime.cli.view import TailHandler

log = structlog.get_logger("cli")

LOG_FORMATS = ("auto", "text", "json")

STDOUT, STDERR = 1, 2


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that everything that runs a runtime takes."""
    for option in (
        click.option(
            "--log-format",
            type=click.Choice(LOG_FORMATS),
            help="auto: a live view on a terminal, plain lines elsewhere. Default: the config's.",
        ),
        click.option(
            "--duration",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECS",
            help="Stop in order after so many seconds.",
        ),
        click.option(
            "--report",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write the stop report here too.",
        ),
    ):
        command = option(command)
    return command


@click.command("run")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--standby", is_flag=True, help="Where another runtime owns the state: wait, and take over."
)
@run_options
def run_command(
    config: Path, report: Path | None, duration: float | None, log_format: str | None, standby: bool
) -> None:
    """Run the strategies that CONFIG names until they are told to stop."""

    def load() -> Settings:
        settings = Settings.from_toml(config)
        owner = attrs.evolve(settings.owner, standby=standby or settings.owner.standby)
        return attrs.evolve(settings, owner=owner)

    sys.exit(execute(load, report, duration, log_format))


def execute(
    load: Callable[[], Settings],
    report: Path | None,
    duration: float | None,
    log_format: str | None,
) -> int:
    """Run a runtime in this process, from its settings to its exit code.

    Args:
        load: gives the settings.
        report: where to write the stop report, besides the data directory.
        duration: in seconds; None: until a signal.
        log_format: overrides the settings'.
    """
    guard = SignalGuard()
    guard.install()
    guard.report_path = report
    _open_streams()
    # Until the settings are read: a second signal that early is logged as any other.
    configure_logs("INFO", stop_level="INFO", json=log_format == "json", handler=FdHandler(STDERR))
    try:
        settings = load()
        tail = _set_up_logs(settings, log_format)
        return trio.run(_main, settings, guard, report, duration, tail)
    except TradeRuntimeError as error:
        complain(error)
        return error.exit_code


def _open_streams() -> None:
    """Give a process that was started without stdout or stderr a place to write to.

    Otherwise the next file that is opened, a database perhaps, would get their numbers.
    """
    for fd, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w", closefd=False))  # noqa: SIM115 - for the whole life


def _set_up_logs(settings: Settings, log_format: str | None) -> TailHandler | None:
    """Configure the logs; return the tail that the live view shows, where there is one."""
    chosen = log_format or settings.log.format
    tail = None
    if chosen == "auto" and sys.stdout.isatty() and sys.stderr.isatty():
        from trade_runtime.cli.view import TailHandler  # noqa: PLC0415 - only a terminal needs it

        tail = TailHandler()
    configure_logs(
        settings.log.level,
        stop_level=settings.shutdown.log_level,
        json=chosen == "json",
        handler=tail or FdHandler(STDERR),
    )
    return tail


async def _main(
    settings: Settings,
    guard: SignalGuard,
    report_path: Path | None,
    duration: float | None,
    tail: TailHandler | None,
) -> int:
    with trio.CancelScope() as preparing:
        guard.prepare(preparing)
        for warning in await preflight(settings, ask_venues=True):
            log.warning(warning)
    runtime = create_runtime(settings)
    if preparing.cancelled_caught:
        guard.release()
        runtime.stop_reason = guard.received[0]
        log.info("Stopped before anything was opened", reason=runtime.stop_reason)
        return _deliver(make_report(runtime), report_path)
    guard.bind(runtime)
    try:
        async with trio.open_nursery() as nursery:
            if tail is not None:
                nursery.start_soon(_view(runtime, guard, tail))
            async with run_runtime(runtime):
                with trio.move_on_after(math.inf if duration is None else duration):
                    await runtime.stopped()
                runtime.request_stop(f"--duration {duration} is over")
            nursery.cancel_scope.cancel()
    except* TradeRuntimeError as group:
        complain(runtime.start_error or group)
    finally:
        guard.release()
    report = runtime.report
    assert report is not None
    return _deliver(report, report_path)


def _view(runtime: Runtime, guard: SignalGuard, tail: TailHandler) -> Callable[[], Awaitable[None]]:
    from trade_runtime.cli.view import View  # noqa: PLC0415 - only a terminal needs it

    view = View(runtime, tail)
    guard.before_exit = view.restore
    return view.run


def _deliver(report: StopReport, path: Path | None) -> int:
    if path is not None:
        try:
            report.write(path)
        except OSError as error:
            complain(error, f"the report could not be written to {path}")
            return report.exit_code or EXIT_UNCLEAN
    return report.exit_code
