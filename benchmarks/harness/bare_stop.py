"""The least that stops on a signal under Trio: what a process pays for ending at all."""

import signal

import trio


async def main() -> None:
    """Say that it runs, and wait for the signal."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        print("ready", flush=True)
        async for _ in signals:
            return


trio.run(main)
