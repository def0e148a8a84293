"""The store under any order of calls, against a model of jobs and leases."""

import secrets
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobsvc.domain.job import JobState
from jobsvc.domain.lapse import lapse
from jobsvc.domain.lease import Extended, Extension, LeaseId, NewLease, Slot
from jobsvc.domain.lease_end import Requeued
from jobsvc.domain.outcome import (
    MAX_REDELIVERIES,
    Cancelled,
    Failure,
    Finish,
    Outcome,
    Release,
    Success,
    decide,
)
from jobsvc.store.jobs import BornLeased, KeyTaken
from tests.store.support.control_rules import ControlRules
from tests.store.support.known_job import (
    AGE_LEASE,
    AGE_WAITING,
    END_ATTEMPT,
    END_JOB,
    END_RETENTION,
    RETRY,
    WHERE_JOBS_ARE,
    Known,
)
from tests.store.support.own_loop import OwnLoop
from tests.store.support.samples import BROKEN, TABLES, end, new_job

OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        Success('{"a": 1}'),
        Failure(BROKEN, retry_delay_seconds=0),
        Failure(BROKEN, retry_delay_seconds=3600),
        Failure(BROKEN, retryable=False),
        Release(),
        Release(3600),
        Cancelled(),
    ]
)


class LifeCycle(RuleBasedStateMachine, ControlRules):
    """Jobs of one queue, and every lease that has ever existed."""

    def __init__(self, opened: OwnLoop) -> None:
        RuleBasedStateMachine.__init__(self)
        ControlRules.__init__(self)
        self.run, self.store, self.sql = opened.run, opened.store, opened.sql
        self.run(self.sql.execute(f"TRUNCATE {', '.join(TABLES)}"))
        self.run(self.store.queues.declare(["q"]))

    # Jobs come.

    @rule(
        priority=st.integers(-1, 1),
        attempts=st.integers(1, 3),
        key=st.sampled_from([None, None, "a", "b"]),
        has_request=st.booleans(),
    )
    def create(self, priority: int, attempts: int, key: str | None, has_request: bool) -> None:
        job = new_job(
            priority=priority,
            unique_key=key,
            request_id=uuid4() if has_request else None,
            max_attempts=attempts,
            initial_backoff_seconds=RETRY.initial_backoff_seconds,
            ttl_seconds=86_400.0,
        )
        taken = key and any(k.key == key and not k.state.ended for k in self.jobs.values())
        try:
            assert self.run(self.store.jobs.create(job)) is not None
        except KeyTaken:
            assert taken
        else:
            assert not taken
            self.jobs[job.id] = Known(attempts, priority, key, has_request)

    @rule(
        priority=st.integers(-1, 1),
        attempts=st.integers(1, 3),
        has_request=st.booleans(),
        worker=st.sampled_from(["v", "w"]),
        other=st.sampled_from([None, "before", "after"]),
    )
    def create_leased(
        self, priority: int, attempts: int, has_request: bool, worker: str, other: str | None
    ) -> None:
        """A job that is to be born leased, alone or beside one that is not."""
        job = new_job(
            priority=priority,
            request_id=uuid4() if has_request else None,
            max_attempts=attempts,
            initial_backoff_seconds=RETRY.initial_backoff_seconds,
            ttl_seconds=86_400.0,
        )
        beside = new_job(ttl_seconds=86_400.0)
        jobs = {None: [job], "before": [beside, job], "after": [job, beside]}[other]
        is_idle = not self.waiting(ready=True)
        lease_id = LeaseId.of(job.id, secrets.randbits(62))
        lease = NewLease(lease_id, Slot(worker, 30.0))
        written = self.run(self.store.jobs.write_leased(jobs, [lease]))
        assert isinstance(written[jobs.index(job)], BornLeased) == is_idle
        known = self.jobs[job.id] = Known(attempts, priority, None, has_request)
        if other is not None:
            self.jobs[beside.id] = Known(beside.options.run_policy.max_attempts or 0, 0, None)
        if is_idle:
            self.leases.append(lease_id)
            known.state, known.lease = JobState.PROCESSING, lease_id
            known.attempt, known.version = 1, 2

    # Leases.

    @precondition(lambda self: self.waiting(ready=True))
    @rule(count=st.integers(1, 4), worker=st.sampled_from(["v", "w"]))
    def lease(self, count: int, worker: str) -> None:
        ready = self.waiting(ready=True)
        leased = self.run(self.store.claims.lease("q", [Slot(worker, 30.0)] * count))
        assert len(leased) == min(count, len(ready))
        priorities = [self.jobs[job.id.job_id].priority for job in leased]
        assert priorities == sorted((k.priority for k in ready), reverse=True)[:count]
        for job in leased:
            lease_id = job.id
            known = self.jobs[lease_id.job_id]
            assert lease_id not in self.leases
            assert known.state is JobState.PENDING
            self.leases.append(lease_id)
            known.state, known.lease, known.confirmed = JobState.PROCESSING, lease_id, False
            known.attempt += 1
            known.version += 1
            assert job.delivery.terms.attempt == known.attempt <= known.max_attempts

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), percent=st.none() | st.integers(0, 100))
    def extend(self, data: st.DataObject, percent: int | None) -> None:
        self.extend_these(data.draw(st.lists(self.some_lease(), min_size=1, unique=True)), percent)

    def extend_these(self, wanted: list[LeaseId], percent: int | None = None) -> None:
        extensions = [Extension(lease_id, percent=percent) for lease_id in wanted]
        results = self.run(self.store.leases.extensions.submit(extensions))
        for lease_id, result in zip(wanted, results, strict=True):
            known = self.holder(lease_id)
            assert isinstance(result, Extended) == (known is not None)
            if known is not None:
                known.confirmed = True
                known.version += percent is not None

    # Leases end: by outcomes, current and stale ones together in a batch.

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        some = st.lists(st.tuples(self.some_lease(), OUTCOMES), min_size=1, max_size=4)
        self.report_these(data.draw(some))

    def report_these(self, reports: list[tuple[LeaseId, Outcome]]) -> None:
        verdicts = []
        for lease_id, outcome in reports:
            known = self.jobs.get(lease_id.job_id)
            verdicts.append(decide((known or Known(3, 0, None)).terms, outcome, 0))
        ends = [end(i, v) for (i, _), v in zip(reports, verdicts, strict=True)]
        results = self.run(self.store.lease_ends.ends.submit(ends))
        for one, result in zip(ends, results, strict=True):
            known = self.holder(one.id)
            assert not isinstance(result, Exception)
            assert (result is not False) == (known is not None)
            if known is not None:
                assert isinstance(result, Requeued) == (not isinstance(one.verdict, Finish))
                self.ended(one.id, known, one.verdict)

    # ... by rescue, in two steps between which something may happen.

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        aging=st.sampled_from([AGE_LEASE, AGE_LEASE, END_ATTEMPT]),
        meanwhile=st.sampled_from(["nothing", "extend", "extend", "cancel", "report"]),
    )
    def rescue(self, data: st.DataObject, aging: str, meanwhile: str) -> None:
        lease_id = data.draw(self.some_lease())
        self.run(self.sql.execute(aging, lease_id.number))
        seen = self.run(self.store.leases.lapsed(100))
        found = {lapsed.id for lapsed in seen}
        assert all(map(self.holder, found))
        assert (lease_id in found) == (self.holder(lease_id) is not None)
        if meanwhile == "extend":
            self.extend_these([lease_id])
        elif meanwhile == "cancel":
            self.cancel_job(lease_id.job_id)
        elif meanwhile == "report":
            self.report_these([(lease_id, data.draw(OUTCOMES))])
        for lapsed in seen:
            cause = lapse(lapsed.until, lapsed.deadline, lapsed.read_time)
            assert cause is not None
            verdict = decide(lapsed.terms, cause, 0)
            late = end(lapsed.id, verdict, until=lapsed.until)
            until = self.run(
                self.sql.fetchval("SELECT until FROM lease WHERE lease_id = $1", lapsed.id.number)
            )
            result = self.run(self.store.lease_ends.ends.submit_one(late))
            known = self.holder(lapsed.id)
            in_time = until is not None and until <= lapsed.until
            if not isinstance(verdict, Finish) and known is not None:
                in_time = in_time and not known.cancel_requested
            assert (result is not False) == (known is not None and in_time)
            if known is not None and in_time:
                self.ended(lapsed.id, known, verdict)

    # ... and by redelivery, because they never reached their worker.

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        wanted = data.draw(st.lists(self.some_lease(), min_size=1, unique=True))
        redelivered = self.run(self.store.leases.redeliver(wanted))
        for lease_id in wanted:
            known = self.holder(lease_id)
            goes = (
                known is not None
                and not known.confirmed
                and not known.cancel_requested
                and known.redeliveries < MAX_REDELIVERIES
            )
            assert (lease_id in redelivered) == goes
            if known is not None and goes:
                self.waits(known, used=False, ready=True)
                known.redeliveries += 1

    # Upkeep.

    @precondition(lambda self: self.waiting(ready=False))
    @rule()
    def age_waiting(self) -> None:
        self.run(self.sql.execute(AGE_WAITING))
        for known in self.waiting(ready=False):
            known.ready = True

    @precondition(lambda self: self.waiting(ready=True))
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(list(self.jobs)))
        known = self.jobs[job_id]
        self.run(self.sql.execute(END_JOB, job_id))
        expired = self.run(self.store.upkeep.expire(100, 60.0))
        assert [job.job_id for job in expired] == (
            [job_id] if known.state is JobState.PENDING else []
        )
        if expired:
            known.state, known.ended_by_lease = JobState.FAILED, False
            known.version += 1

    @precondition(lambda self: any(known.state.ended for known in self.jobs.values()))
    @rule(data=st.data(), request_id_seconds=st.sampled_from([0.0, 3600.0]))
    def prune(self, data: st.DataObject, request_id_seconds: float) -> None:
        job_id = data.draw(st.sampled_from(list(self.jobs)))
        known = self.jobs[job_id]
        self.run(self.sql.execute(END_RETENTION, job_id))
        pruned = self.run(self.store.upkeep.prune(100, request_id_seconds))
        assert pruned == known.state.ended
        if pruned and known.has_request and request_id_seconds:
            known.past, known.emptied = 0, True
        elif pruned:
            del self.jobs[job_id]

    @invariant()
    def every_job_is_where_the_model_has_it(self) -> None:
        rows = self.run(self.sql.fetch(WHERE_JOBS_ARE))
        assert {row["job_id"] for row in rows} == set(self.jobs), "nothing orphaned, nothing lost"
        assert len(rows) == len(self.jobs)
        for row in rows:
            known = self.jobs[row["job_id"]]
            versions = [row["waiting"], row["lease"], row["result"]]
            assert len([v for v in versions if v is not None]) == 1, "in exactly one table"
            assert (row["emptied_time"] is not None) == known.emptied
            state = 1 if row["waiting"] else 2 if row["lease"] else row["state"]
            assert state == known.state
            assert max(v or 0 for v in versions) == known.version
            assert row["lease_id"] == (known.lease.number if known.lease else None)
            assert row["keyed"] == (known.key is not None and not known.state.ended)
            assert (row["attempt"], row["past"]) == (known.attempt, known.past)
            assert known.attempt <= known.max_attempts
            if not known.state.ended:
                assert row["redeliveries"] == known.redeliveries <= MAX_REDELIVERIES


def test_jobs_are_always_where_the_model_has_them(dsn: str) -> None:
    opened = OwnLoop(dsn)
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis leaves it open
            lambda: LifeCycle(opened),
            settings=settings(
                max_examples=100,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        opened.close()
