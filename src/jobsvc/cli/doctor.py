"""`jobsvc doctor`: says what is wrong with a database, and with the work in it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import Ca, Tls
from jobsvc.cli.open_client import channel_credentials

if TYPE_CHECKING:
    from jobsvc.domain.finding import Finding


def doctor(
    target: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Also ask this server whether it is serving."),
    ] = None,
    tls: Tls = False,
    ca: Ca = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Compare all rows, also of a million jobs and more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what is wrong with the database JOBSVC_DSN, and exit with 1 if anything is.

    Is work flowing, are jobs succeeding, can the numbers be trusted: then a line for
    each thing that is wrong, or may be (a warning, which leaves the exit code at 0), with
    what to do. It changes nothing, and may run beside servers. Give it the environment
    of a server: it looks at the settings and their files, too. Without JOBSVC_DSN it
    starts the embedded PostgreSQL in JOBSVC_DATA_DIR. See docs/operations/doctor.md.
    """
    import asyncio
    import logging

    from jobsvc.cli.existing_database import existing_database
    from jobsvc.cli.server_files import check_files
    from jobsvc.cli.startup import log_to_stderr, read_settings, startup_errors
    from jobsvc.domain.finding import is_wrong
    from jobsvc.store.diagnosis import diagnose

    settings = read_settings()
    log_to_stderr()
    logging.getLogger("jobsvc.store.pooler").setLevel(logging.ERROR)  # It is a finding.

    async def run() -> list["Finding"]:
        async with existing_database(settings) as dsn:
            return await diagnose(dsn, settings, rows)

    with startup_errors():
        found = [*_ask(target, tls, ca), *check_files(settings), *asyncio.run(run())]
    found.sort(key=lambda one: one.severity, reverse=True)  # what is wrong comes first
    print(_json(found) if as_json else "\n".join(_fitted(_lines(found))))
    if is_wrong(found):
        raise typer.Exit(1)


def _ask(target: str | None, tls: bool, ca: Path | None) -> Iterator["Finding"]:
    """Asks a server, if one is named."""
    from jobsvc.cli.server_files import check_shown_certificate
    from jobsvc.client import CallFailed
    from jobsvc.client.health import serving_status
    from jobsvc.domain.finding import Check, finding

    if target is None:
        return
    credentials = channel_credentials(tls, ca)
    try:
        status = serving_status(target, credentials=credentials)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except CallFailed as failure:
        status = f"{failure}"
    if status != "SERVING":
        yield finding(
            Check.NOT_SERVING,
            f"the server at {target} does not serve ({status}): look into its log, or start it",
        )
    if credentials is not None:
        yield from check_shown_certificate(target)


def _lines(found: Sequence["Finding"]) -> Iterator[str]:
    from jobsvc.domain.finding import answers
    from jobsvc.plain_text import one_line

    for question, answer in answers(found).items():
        yield f"{question:<27}  {answer}"
    yield ""
    for one in found:
        yield f"{one.severity}: {one_line(one.text)} [{one.kind}]"
    if not found:
        yield "nothing is wrong"


def _fitted(lines: Iterable[str]) -> Iterator[str]:
    """Breaks lines at blanks where they are shown in a terminal; a program gets them whole."""
    import shutil
    import sys
    import textwrap

    if not sys.stdout.isatty():
        yield from lines
        return
    width = shutil.get_terminal_size().columns
    for line in lines:
        broken = textwrap.wrap(
            line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        yield from broken or [""]


def _json(found: Sequence["Finding"]) -> str:
    import json

    from jobsvc.domain.finding import answers, is_wrong
    from jobsvc.plain_text import json_text

    report = {
        "wrong": is_wrong(found),
        "answers": {question.name.lower(): answer for question, answer in answers(found).items()},
        "findings": [
            {
                "kind": one.kind,
                "severity": one.severity,
                "question": one.question.name.lower(),
                "number": one.number,
                "names": one.names,
                "text": one.text,
            }
            for one in found
        ],
    }
    return json_text(json.dumps(report, indent=2, ensure_ascii=False))
