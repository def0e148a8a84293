"""Extensions and outcomes as workers send them, by stream or by call, and the answers to each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, repeat

from google.rpc import status_pb2

from jobsvc.api.convert import leases as convert
from jobsvc.api.status import status_of
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.domain.errors import JobsvcError, LeaseLost
from jobsvc.domain.lease import Extension, LeaseId, LeaseTerms
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.settle import Report, Settlement
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1 import worker_service_pb2 as pb


class Outcomes:
    """Answers for each lease on its own: one that is lost or malformed spoils no other."""

    def __init__(
        self,
        store: Store,
        settlement: Settlement,
        hints: Hints,
        on_over: Callable[[Collection[LeaseId], ConnectedWorker | None], None],
        settings: Settings,
    ) -> None:
        """`on_over` is told of leases that are over, settled or lost, and who reported them."""
        self._store = store
        self._settlement = settlement
        self._hints = hints
        self._on_over = on_over
        self._settings = settings

    async def extend(
        self, request: pb.ExtendLeasesRequest, wishes: Sequence[Extension | None]
    ) -> pb.ExtendLeasesResponse:
        """Extends leases; `wishes` are those of the request, None for an id of no server."""
        results = await self._store.leases.extensions.submit([w for w in wishes if w is not None])
        for result in results:
            if isinstance(result, Exception):
                raise result
        answers = iter(results)
        leases = [
            convert.lease_status(
                item.lease_id,
                None if wish is None else next(answers),  # type: ignore[arg-type]  # no errors left
            )
            for item, wish in zip(request.extensions, wishes, strict=True)
        ]
        self._hints.tell(
            wish.id.job_id
            for wish, status in zip(wishes, leases, strict=True)
            if wish is not None and wish.percent is not None and status.state != pb.LEASE_STATE_LOST
        )
        return pb.ExtendLeasesResponse(leases=leases)

    async def report(
        self,
        request: pb.ReportOutcomesRequest,
        worker_id: str,
        stream: ConnectedWorker | None = None,
    ) -> pb.ReportOutcomesResponse:
        """Records outcomes; whoever held a lease that is over then has room again.

        `stream` is where they came from, and knows the terms of the leases it holds.
        """
        held: Mapping[LeaseId, LeaseTerms] = {} if stream is None else stream.held
        lease_ids = list(map(LeaseId, convert.reported_leases(request)))
        statuses: list[status_pb2.Status | None] = [None] * len(lease_ids)
        items = chain(request.outcomes, repeat(None))
        places: list[int] = []
        reports: list[Report] = []
        time_slice = await TimeSlice.after_decoding(lease_ids)
        for place, (lease_id, item) in enumerate(zip(lease_ids, items, strict=False)):
            if time_slice.used_up:
                await time_slice.yield_()
            known = held.get(lease_id)
            if known is None and LeaseId.parse(lease_id) is None:
                statuses[place] = status_of(LeaseLost(lease_id))
                continue
            try:
                outcome = (
                    convert.DONE
                    if item is None
                    else convert.outcome(item, self._settings.max_payload_bytes)
                )
            except JobsvcError as error:
                statuses[place] = status_of(error)
            else:
                places.append(place)
                reports.append(Report(lease_id, outcome, known))
        answers = await self._settlement.report(reports, worker_id)
        if answers.count(None) == len(lease_ids):  # mostly
            self._on_over(lease_ids, stream)
            return convert.outcome_results(lease_ids, statuses, len(request.outcomes))
        over = []
        for place, report, answer in zip(places, reports, answers, strict=True):
            if answer is not None:
                statuses[place] = status_of(answer)
            if answer is None or isinstance(answer, LeaseLost):
                over.append(report.id)
        self._on_over(over, stream)
        return convert.outcome_results(lease_ids, statuses, len(request.outcomes))
