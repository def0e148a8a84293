"""Extensions and outcomes as workers send them, by stream or by unary call, and the response to
each."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, repeat

from google.rpc import status_pb2

from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.payloads import LargePayload, read_large
from jobsvc.api.status import status_of
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.domain.errors import DatabaseUnavailable, JobsvcError, LeaseLost
from jobsvc.domain.lease import Extension, LeaseId, LeaseTerms
from jobsvc.domain.outcome import Outcome, Release
from jobsvc.domain.worker import is_worker_of
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.settle import Report, Settlement
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1 import worker_service_pb2 as pb

log = logging.getLogger(__name__)


class Outcomes:
    """Decides on each lease on its own: one that is lost or malformed spoils no other."""

    def __init__(
        self,
        store: Store,
        settlement: Settlement,
        hints: Hints,
        on_ended: Callable[[Collection[LeaseId], ConnectedWorker | None], None],
        settings: Settings,
    ) -> None:
        """`on_ended` is told of leases that have ended, settled or lost, and who reported them."""
        self._store = store
        self._settlement = settlement
        self._hints = hints
        self._on_ended = on_ended
        self._settings = settings

    async def extend(
        self, request: pb.ExtendLeasesRequest, extensions: Sequence[Extension | None]
    ) -> pb.ExtendLeasesResponse:
        """Extends leases. `extensions` are the converted items of the request, None for an id that
        no server has made."""
        results = await self._store.leases.extensions.submit(
            [e for e in extensions if e is not None]
        )
        extended = iter(results)
        statuses, progressed = [], []
        for item, extension in zip(request.extensions, extensions, strict=True):
            result = None if extension is None else next(extended)
            if isinstance(result, DatabaseUnavailable):
                raise result
            if isinstance(result, Exception):
                continue  # A defect, in the log; the others have their answer.
            statuses.append(convert.lease_status(item.lease_id, result))
            if extension is not None and extension.percent is not None and result is not None:
                progressed.append(extension.id.job_id)
        self._hints.tell(progressed)
        return pb.ExtendLeasesResponse(leases=statuses)

    async def report(
        self,
        request: pb.ReportOutcomesRequest,
        worker_id: str,
        worker: ConnectedWorker | None = None,
        service: str = "",
    ) -> pb.ReportOutcomesResponse:
        """Records outcomes, and frees the capacity of the leases that have ended.

        `worker_id` empty means any worker of `service`, and any at all without one. `worker` has
        the stream that the report came from, and knows the terms of its leases.
        """
        held: Mapping[LeaseId, LeaseTerms] = {} if worker is None else worker.leases
        lease_ids = list(map(LeaseId, convert.reported_leases(request)))
        statuses: list[status_pb2.Status | None] = [None] * len(lease_ids)
        foreign = await self.not_held_by(service, lease_ids) if service else ()
        items = chain(request.outcomes, repeat(None))
        indexes: list[int] = []
        reports: list[Report] = []
        time_slice = await TimeSlice.after_decoding(lease_ids)
        for index, (lease_id, item) in enumerate(zip(lease_ids, items, strict=False)):
            terms = held.get(lease_id)
            if terms is None and (LeaseId.parse(lease_id) is None or lease_id in foreign):
                statuses[index] = status_of(LeaseLost(lease_id))
                continue
            if item is None:
                report = Report(lease_id, convert.DONE, terms)
            else:
                if time_slice.used_up:
                    await time_slice.yield_()
                try:
                    outcome = await self._outcome(item)
                    report = Report(lease_id, outcome, terms, convert.outcome_progress(item))
                except Exception as error:
                    if not isinstance(error, JobsvcError):
                        log.exception("the outcome under lease %s cannot be read", lease_id)
                    statuses[index] = status_of(error)
                    continue
            indexes.append(index)
            reports.append(report)
        errors = await self._settlement.report(reports, worker_id)
        if worker is not None and not worker.subscription.window:
            worker.handed_back += sum(isinstance(r.outcome, Release) for r in reports)
        if errors.count(None) == len(lease_ids):  # mostly
            self._on_ended(lease_ids, worker)
            return convert.outcome_results(lease_ids, statuses, len(request.outcomes))
        ended = []
        for index, report, failure in zip(indexes, reports, errors, strict=True):
            if failure is not None:
                statuses[index] = status_of(failure)
            if failure is None or isinstance(failure, LeaseLost):
                ended.append(report.id)
        self._on_ended(ended, worker)
        return convert.outcome_results(lease_ids, statuses, len(request.outcomes))

    async def not_held_by(
        self, service: str, lease_ids: Collection[LeaseId]
    ) -> Collection[LeaseId]:
        """Returns those of the leases that are current and held by workers of other services.

        Raises:
            DatabaseUnavailable: nobody knows.
        """
        ids = [lease_id for lease_id in lease_ids if LeaseId.parse(lease_id) is not None]
        current = await self._store.leases.read(ids)
        return {i for i, terms in current.items() if not is_worker_of(service, terms.worker_id)}

    async def _outcome(self, item: pb.JobOutcome) -> Outcome:
        max_bytes = self._settings.max_payload_bytes
        try:
            return convert.outcome(item, max_bytes)
        except LargePayload:
            read = await read_large(item.success.output, max_bytes)
            return convert.outcome(item, max_bytes, read)
