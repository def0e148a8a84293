"""`jobsvc trace`: draws the waterfall of a job from the spans that its processes wrote."""

import re
from pathlib import Path
from typing import Annotated

import typer

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def trace(
    id: Annotated[str, typer.Argument(metavar="ID", help="A job id, or a trace id.")],
    directory: Annotated[
        Path,
        typer.Option("--dir", envvar="JOBSVC_TRACE_DIR", help="Where the spans were written."),
    ] = Path(".jobsvc/traces"),
    all_jobs: Annotated[
        bool, typer.Option("--all", help="Also show other jobs of the same trace.")
    ] = False,
) -> None:
    """Draw what happened to a job, from its creation to its end."""
    from jobsvc.cli.console import new_console
    from jobsvc.tracing.drawing import draw
    from jobsvc.tracing.span_folder import find_trace, find_trace_ids
    from jobsvc.tracing.waterfall import spans_of_job

    wanted = id.strip().lower()
    is_trace = _TRACE_ID.fullmatch(wanted) is not None
    traces = [
        spans
        for trace_id in ([wanted] if is_trace else find_trace_ids(directory, wanted))
        if (spans := find_trace(directory, trace_id))
    ]
    if not traces:
        typer.echo(f"no spans of {'trace' if is_trace else 'job'} {id} in {directory}", err=True)
        raise typer.Exit(1)
    console = new_console()
    for spans in traces:
        draw(spans if is_trace or all_jobs else spans_of_job(spans, wanted), console)
