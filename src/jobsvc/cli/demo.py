"""`jobsvc demo`: runs real jobs from creation to result, with all processes that they need."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from jobsvc.client import JobUpdate


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", help="Where the demo keeps its data, traces and logs.")
    ] = Path(".jobsvc/demo"),
) -> None:
    """Start everything, analyse some real documents, show the results and a trace, stop."""
    # gRPC's core logs to the terminal when a connection ends, which happens here on purpose.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    from jobsvc.cli.console import new_console
    from jobsvc.client import CallFailed
    from jobsvc.demo.failure import DemoFailed, tails
    from jobsvc.demo.run import run_demo

    console = new_console()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        # As on Ctrl-C: everything that was started is stopped before the command ends.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await run_demo(folder, console, _display(console))

    try:
        asyncio.run(run())
    except (DemoFailed, CallFailed, OSError) as failure:
        errors = new_console(stderr=True)
        errors.print(
            f"\nThe demo failed: {failure}", style="bold red", markup=False, soft_wrap=True
        )
        for log, tail in tails(folder / "logs").items():
            errors.print(f"\n{log}:\n{tail}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("\nStopped; nothing is left running.")
        raise typer.Exit(130) from None


@contextmanager
def _display(console: "Console") -> Iterator[Callable[["JobUpdate"], None]]:
    from jobsvc.cli.status_display import StatusDisplay

    with StatusDisplay(console) as display:
        yield display.show
