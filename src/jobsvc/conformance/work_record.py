"""What a worker has sent in one point, over all its streams."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobsvc.v1.worker_service_pb2 import JobOutcome

if TYPE_CHECKING:
    from jobsvc.conformance.served_stream import ServedStream


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome that the worker has sent."""

    time: float
    stream: "ServedStream"
    outcome: JobOutcome
    #: Among `succeeded_lease_ids`.
    is_by_id: bool


@dataclass(slots=True)
class WorkRecord:
    """The leases that the worker was given, and what it said about them."""

    lease_ids: set[str] = field(default_factory=set)
    #: States of leases that are not HELD.
    states: dict[str, str] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    #: Times of the extensions of each lease.
    extensions: dict[str, list[float]] = field(default_factory=dict)
    #: Whether the worker was told that it may send `succeeded_lease_ids`.
    takes_ids: bool = False
    #: What was wrong with the first frame that broke a rule of all frames.
    violation: str = ""

    def note_extensions(self, lease_ids: list[str]) -> None:
        """Notes that these leases were extended just now."""
        now = time.monotonic()
        for lease_id in lease_ids:
            self.extensions.setdefault(lease_id, []).append(now)

    def of(self, lease_id: str) -> list[Report]:
        """The outcomes of a lease so far."""
        return [report for report in self.reports if report.outcome.lease_id == lease_id]
