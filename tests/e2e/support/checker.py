"""The invariants, checked over what clients saw and the tables at the end. Pure.

K1 every acknowledged create has ended, K2 nothing is or runs that nobody created, K3 one outcome
was accepted, under the lease that held then, K4 leases did not overlap, K5 nothing was delivered
after an accepted outcome, K6 versions rise per stream and the last word is the truth, K7 every
job is in exactly one place and has used no more attempts than it had, K9 work went on in time, K10
every kind of fault met something. K8 is in leftovers.py.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf

from tests.e2e.support.history import AnyEvent, Close, Create, Fault, Report, Run, Update
from tests.e2e.support.tables import Tables

_COMPLETED = 3


def violations(
    events: Iterable[AnyEvent],
    tables: Tables,
    *,
    late_seconds: float = 0.0,
    recovery_seconds: float = inf,
) -> list[str]:
    """Every violation, in words that begin with the invariant; empty when all hold.

    A worker that stood still or was cut off may begin up to `late_seconds` after the end of a job
    what it had received before. Whatever is broken, something ends every `recovery_seconds`, and
    everything has ended so long after the last fault and the last creation.
    """
    seen = list(events)
    return [
        *_acknowledged_have_ended(seen, tables),
        *_all_were_created(seen, tables),
        *_one_outcome(seen, tables),
        *_leases_in_order(tables),
        *_no_redelivery(seen, tables, late_seconds),
        *_streams_tell_the_truth(seen, tables),
        *_one_place(tables),
        *_attempts_run_out(tables),
        *_recovered(seen, recovery_seconds),
        *_faults_met_something(seen),
    ]


def _acknowledged_have_ended(events: Sequence[AnyEvent], tables: Tables) -> Iterator[str]:
    for event in events:
        if isinstance(event, Create) and event.result == "ok":
            if event.job_id not in tables.jobs:
                yield f"K1 {event.job_id} was acknowledged and is not there"
            elif event.job_id not in tables.results:
                yield f"K1 {event.job_id} was acknowledged and has not ended"


def _all_were_created(events: Sequence[AnyEvent], tables: Tables) -> Iterator[str]:
    results: dict[str, set[str]] = defaultdict(set)
    made: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if isinstance(event, Create):
            results[event.request_id].add(event.result)
            if event.job_id:
                made[event.request_id].add(event.job_id)
        elif isinstance(event, Run | Update | Report) and event.job_id not in tables.jobs:
            yield f"K2 {event.job_id} was seen and is not there"
    for job_id, request_id in tables.jobs.items():
        made[request_id].add(job_id)
        if not results[request_id] & {"ok", "unknown"}:
            yield f"K2 {job_id} is there, and no creation of it can have succeeded"
    for request_id, job_ids in made.items():
        if len(job_ids) > 1:
            yield f"K2 the request {request_id} made {len(job_ids)} jobs"


def _one_outcome(events: Sequence[AnyEvent], tables: Tables) -> Iterator[str]:
    accepted: dict[str, set[int]] = defaultdict(set)
    for event in events:
        if isinstance(event, Report) and event.result == "ok":
            accepted[event.job_id].add(event.lease_id)
    for job_id, leases in accepted.items():
        result = tables.results.get(job_id)
        if len(leases) > 1:
            yield f"K3 {job_id}: outcomes were accepted under the leases {sorted(leases)}"
        elif result is None or result.lease_id not in leases:
            yield f"K3 {job_id}: an outcome was accepted, and another is on record"
    runs = {event.run: event for event in events if isinstance(event, Run)}
    for job_id, result in tables.results.items():
        mark = _mark(result.output)
        if result.state != _COMPLETED or mark is None:
            continue
        run = runs.get(mark)
        if run is None or (run.job_id, run.attempt) != (job_id, result.attempt):
            yield f"K3 {job_id}: its output is not of the attempt that held the lease"


def _leases_in_order(tables: Tables) -> Iterator[str]:
    windows: dict[str, list[tuple[int, int, float, float]]] = defaultdict(list)
    for past in tables.attempts:
        windows[past.job_id].append((past.attempt, past.lease_id, past.start_time, past.end_time))
    for job_id, result in tables.results.items():
        if result.lease_id is not None:
            windows[job_id].append(
                (result.attempt, result.lease_id, result.start_time, result.end_time)
            )
    for job_id, of_job in windows.items():
        of_job.sort()
        if len({lease_id for _, lease_id, _, _ in of_job}) < len(of_job):
            yield f"K3 {job_id}: a lease id comes twice: {of_job}"
        for before, after in pairwise(of_job):
            if before[0] == after[0]:
                yield f"K3 {job_id}: attempt {after[0]} comes twice"
            if after[2] < before[3]:
                yield f"K4 {job_id}: attempt {after[0]} began before {before[0]} was over"


def _no_redelivery(
    events: Sequence[AnyEvent], tables: Tables, late_seconds: float
) -> Iterator[str]:
    for event in events:
        if not isinstance(event, Run) or event.job_id not in tables.results:
            continue
        result = tables.results[event.job_id]
        if event.attempt > result.attempt or event.time > result.end_time + late_seconds:
            yield f"K5 {event.job_id}: attempt {event.attempt} was delivered after the job's end"


def _streams_tell_the_truth(events: Sequence[AnyEvent], tables: Tables) -> Iterator[str]:
    last: dict[tuple[int, str], Update] = {}
    for event in events:
        if isinstance(event, Update):
            before = last.get((event.stream, event.job_id))
            if event.stream and before is not None:
                if event.version <= before.version:
                    yield f"K6 {event.job_id}: version {event.version} after {before.version}"
                if before.state >= _COMPLETED:
                    yield f"K6 {event.job_id}: an update came after the terminal one"
            last[event.stream, event.job_id] = event
        elif isinstance(event, Close) and event.code == "OK":
            for job_id in event.job_ids:
                update = last.get((event.stream, job_id))
                if update is None or update.state < _COMPLETED:
                    yield f"K6 {job_id}: its stream ended well without its terminal status"
    for (stream, job_id), update in last.items():
        if update.state < _COMPLETED:
            continue
        told = (update.version, update.state, update.output)
        result = tables.results.get(job_id)
        if result is None or told != (result.version, result.state, result.output):
            yield f"K6 {job_id}: {_source(stream)} told an end that is not the one on record"


def _one_place(tables: Tables) -> Iterator[str]:
    places = Counter([*tables.waiting, *tables.leased, *tables.results])
    for job_id in tables.jobs:
        if places[job_id] != 1:
            yield f"K7 {job_id} is in {places[job_id]} places"
    for job_id in [*places, *(past.job_id for past in tables.attempts)]:
        if job_id not in tables.jobs:
            yield f"K7 {job_id} is an orphan"


def _attempts_run_out(tables: Tables) -> Iterator[str]:
    used = Counter(past.job_id for past in tables.attempts)
    for job_id, most in tables.max_attempts.items():
        result = tables.results.get(job_id)
        if max(used[job_id], result.attempt if result else 0) > most:
            yield f"K7 {job_id} has used more than its {most} attempts"


def _recovered(events: Sequence[AnyEvent], recovery_seconds: float) -> Iterator[str]:
    ends = sorted(e.time for e in events if isinstance(e, Update) and e.state >= _COMPLETED)
    created = [e.time for e in events if isinstance(e, Create) and e.time]
    ends = [time for time in ends if time]
    for before, after in pairwise([*sorted(created)[:1], *ends]):
        if after - before > recovery_seconds:
            yield f"K9 nothing ended for {after - before:.1f} s"
    quiet = max([*created, *(e.end_time for e in events if isinstance(e, Fault))], default=0.0)
    if ends and ends[-1] - quiet > recovery_seconds:
        yield f"K9 the last job ended {ends[-1] - quiet:.1f} s after everything was whole again"


def _faults_met_something(events: Sequence[AnyEvent]) -> Iterator[str]:
    hits: Counter[str] = Counter()
    for event in events:
        if isinstance(event, Fault):
            hits[event.kind] += event.hits
    for kind, count in hits.items():
        if not count:
            yield f"K10 {kind} met nothing"


def _mark(output: str) -> str | None:
    mark = json.loads(output or "{}").get("run")
    return mark if isinstance(mark, str) else None


def _source(stream: int) -> str:
    return f"stream {stream}" if stream else "GetJob"
