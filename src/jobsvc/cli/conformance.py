"""`jobsvc conformance worker | client`: tries whether a program keeps the contract."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsvc.cli.call_options import OptionsBeforeCommand
from jobsvc.cli.startup import exit_line
from jobsvc.cli.switches import Command
from jobsvc.exit_code import ExitCode

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.conformance.point import Point

_Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="The program and its arguments.", show_default=False),
]
_Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="POINT", help="Only this point. May be given more than once."),
]
_List = Annotated[bool, typer.Option("--list", help="List the points with their rules, and end.")]
_AtOnce = Annotated[
    int, typer.Option(min=1, metavar="N", help="Points that are tried at the same time.")
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, a line for each point.")]

app = typer.Typer(
    name="conformance",
    help="Try whether a worker or a client keeps the contract.",
    no_args_is_help=True,
)
#: Options of the program under test are not ours.
_SETTINGS = {"allow_interspersed_args": False}


@app.callback(cls=OptionsBeforeCommand)
def _before(as_json: _AsJson = False) -> None:
    """Try whether a worker or a client keeps the contract."""


@app.command(cls=Command, context_settings=_SETTINGS)
def worker(
    command: _Words = None,
    only: _Only = None,
    list_points: _List = False,
    at_once: _AtOnce = 4,
    as_json: _AsJson = False,
) -> None:
    """Play the server to a worker of the queue `conformance`.

    COMMAND is started anew for each point, with the address in JOBSVC_TARGET
    and in place of {address}, {host} and {port}.
    docs/reference/conformance.md says what its processor must do.
    Exit code 1 when a point fails.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from jobsvc.conformance.work_stage import WorkStage
    from jobsvc.conformance.worker_points import WORKER_POINTS

    points = _chosen(WORKER_POINTS, only)
    _run(points, WorkStage, command, list_points, at_once, as_json)


@app.command(cls=Command, context_settings=_SETTINGS)
def client(
    command: _Words = None,
    only: _Only = None,
    list_points: _List = False,
    at_once: _AtOnce = 4,
    as_json: _AsJson = False,
) -> None:
    """Play the server to a client that creates one job and follows it to its end.

    COMMAND is started anew for each point, with the address in JOBSVC_TARGET
    and in place of {address}, {host} and {port}.
    docs/reference/conformance.md says what it must print.
    Exit code 1 when a point fails.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from jobsvc.conformance.call_stage import CallStage
    from jobsvc.conformance.client_points import CLIENT_POINTS

    points = _chosen(CLIENT_POINTS, only)
    _run(points, CallStage, command, list_points, at_once, as_json)


# Any: points about workers and about clients are played on stages of their own.
def _chosen(points: "Sequence[Point[Any]]", only: Sequence[str] | None) -> "list[Point[Any]]":
    names = {point.name for point in points}
    for name in only or ():
        if name not in names:
            raise typer.BadParameter(f"there is no point {name!r}; --list has them")
    return [point for point in points if not only or point.name in only]


def _run(
    points: "Sequence[Point[Any]]",
    new_stage: Callable[..., Any],
    command: Sequence[str] | None,
    list_points: bool,
    at_once: int,
    as_json: bool,
) -> None:
    from jobsvc.conformance import report

    if list_points:
        for point in points:
            lines = [report.point_json(point)] if as_json else report.point_lines(point)
            for line in lines:
                typer.echo(line)
        return
    if not command:
        raise typer.BadParameter("a COMMAND is missing")
    if not asyncio.run(_play(points, new_stage, command, at_once, as_json)):
        raise typer.Exit(ExitCode.FAILED)


async def _play(
    points: "Sequence[Point[Any]]",
    new_stage: Callable[..., Any],
    command: Sequence[str],
    at_once: int,
    as_json: bool,
) -> bool:
    from jobsvc.conformance import report
    from jobsvc.conformance.player import play
    from jobsvc.conformance.program import CommandUnusable

    results = []
    try:
        async for result in play(points, new_stage, command, at_once):
            results.append(result)
            lines = [report.result_json(result)] if as_json else report.result_lines(result)
            for line in lines:
                typer.echo(line)
    except CommandUnusable as error:
        exit_line(f"{error}", ExitCode.USAGE)
    if not as_json:
        typer.echo(report.summary(results))
    return all(result.passed for result in results)
