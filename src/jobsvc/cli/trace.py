"""`jobsvc trace`: draws the waterfall of a job from the spans that its processes made."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def trace(
    id: Annotated[str, typer.Argument(metavar="ID", help="A job id, or a trace id.")],
    where: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL|FILE|FOLDER",
            envvar=["JOBSVC_TRACE_FROM", "JOBSVC_TRACE_DIR"],
            help="Where the spans are: the URL of Jaeger or Tempo, a file of a collector, or the"
            " folder JOBSVC_TRACE_DIR of the processes.",
        ),
    ] = ".jobsvc/traces",
    all_jobs: Annotated[
        bool, typer.Option("--all", help="Also show other jobs of the same trace.")
    ] = False,
) -> None:
    """Draw what happened to a job, from its creation to its end."""
    from jobsvc.cli.console import new_console
    from jobsvc.cli.startup import exit_line
    from jobsvc.exit_code import ExitCode
    from jobsvc.tracing.drawing import draw
    from jobsvc.tracing.span_source import open_source
    from jobsvc.tracing.trace_api import SourceUnusable
    from jobsvc.tracing.waterfall import spans_of_job

    try:
        headers = _headers(os.environ)
    except (OSError, UnicodeDecodeError) as error:
        exit_line(f"JOBSVC_TRACE_HEADERS_FILE: {error}", ExitCode.CONFIGURATION)
    source = open_source(where, headers)
    wanted = id.strip().lower()
    is_trace = _TRACE_ID.fullmatch(wanted) is not None
    try:
        ids = [wanted] if is_trace else source.find_trace_ids(wanted, _created(wanted))
        traces = [spans for trace_id in ids if (spans := source.find_trace(trace_id))]
    except SourceUnusable as error:
        exit_line(f"{error}", ExitCode.TEMPORARY)
    if not traces:
        typer.echo(f"no spans of {'trace' if is_trace else 'job'} {id} in {where}", err=True)
        raise typer.Exit(1)
    console = new_console()
    for spans in traces:
        draw(spans if is_trace or all_jobs else spans_of_job(spans, wanted), console)


def _created(job_id: str) -> datetime | None:
    """When a job was created, as its id says."""
    from jobsvc.domain.job_id import created_millis

    if not _JOB_ID.fullmatch(job_id):
        return None
    return datetime.fromtimestamp(created_millis(job_id) / 1000, UTC)


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers of JOBSVC_TRACE_HEADERS, or else of the file JOBSVC_TRACE_HEADERS_FILE: as those
    of OTEL_EXPORTER_OTLP_HEADERS, NAME=VALUE,…"""
    from urllib.parse import unquote

    text = environment.get("JOBSVC_TRACE_HEADERS", "")
    path = environment.get("JOBSVC_TRACE_HEADERS_FILE")
    if not text and path:
        text = Path(path).read_text()
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals}
