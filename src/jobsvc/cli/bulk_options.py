"""The options of every command that does the same with all jobs of a filter. A new one is a field
of `BulkOptions`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.filter_options import (
    From,
    Labels,
    OwnSession,
    OwnUser,
    Queues,
    States,
    Until,
    read_filter,
)

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import JobFilter


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """The values of these options, in the order of the help."""

    queues: Queues = None
    states: States = None
    labels: Labels = None
    own_session: OwnSession = False
    own_user: OwnUser = False
    create_time_from: From = None
    create_time_until: Until = None
    rate: Annotated[
        float, typer.Option(min=0, metavar="N", help="Most jobs a second.", show_default="no limit")
    ] = 0.0
    most: Annotated[
        int, typer.Option(min=0, metavar="N", help="Most jobs in all.", show_default="no limit")
    ] = 0
    validate_only: Annotated[
        bool,
        typer.Option(
            "--validate-only", "--dry-run", help="Print how many jobs it would touch, and some."
        ),
    ] = False
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it ends.")] = False
    request_id: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="The same one never starts a second operation."),
    ] = None
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Do not ask (before cancel and delete, or if all are meant)."
        ),
    ] = False

    def filter(self) -> "JobFilter":
        """Returns which jobs are meant."""
        return read_filter(
            self.queues,
            self.states,
            self.labels,
            self.own_session,
            self.own_user,
            self.create_time_from,
            self.create_time_until,
            datetime.now(UTC),
        )
