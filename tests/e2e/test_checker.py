"""The checker finds each kind of violation when it is seeded, and nothing in a healthy history."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import pytest

from tests.e2e.support.checker import violations
from tests.e2e.support.history import AnyEvent, Close, Create, Fault, Report, Run, Update
from tests.e2e.support.tables import PastAttempt, Result, Tables

_RECOVERY_SECONDS = 15.0
_OUTPUT = '{"run":"second"}'


@dataclass
class Case:
    """A history and the tables it led to; a seed spoils them."""

    events: list[AnyEvent]
    tables: Tables

    def change(self, kind: type[AnyEvent], **changes: object) -> None:
        """Changes the last event of a kind."""
        index = max(i for i, event in enumerate(self.events) if isinstance(event, kind))
        self.events[index] = msgspec.structs.replace(self.events[index], **changes)

    def result(self, **changes: object) -> None:
        """Changes the result of job a."""
        self.tables.results["a"] = replace(self.tables.results["a"], **changes)


def healthy() -> Case:
    """Job a is retried once and completes; job b's creation is retried, and a worker ends it."""
    return Case(
        events=[
            Create(request_id="ra", result="ok", job_id="a", time=9.0),
            Create(request_id="rb", result="unknown"),
            Create(request_id="rb", result="ok", job_id="b"),
            Create(request_id="rc", result="fail"),
            Update(stream=1, job_id="a", version=1, state=1),
            Run(job_id="a", attempt=1, run="first", time=10.0),
            Update(stream=1, job_id="a", version=3, state=1),
            Run(job_id="a", attempt=2, run="second", time=20.0),
            Fault(kind="kill", begin_time=12.0, end_time=13.0, hits=1),
            Fault(kind="kill", begin_time=14.0, end_time=14.0, hits=0),
            Update(stream=1, job_id="a", version=5, state=3, output=_OUTPUT, time=21.5),
            Close(stream=1, job_ids=["a"], code="OK"),
            Update(stream=2, job_id="b", version=2, state=2),
            Close(stream=2, job_ids=["b"], code="UNAVAILABLE"),
            Report(job_id="b", lease_id=3, result="ok"),
            Report(job_id="b", lease_id=3, result="ok"),
            Update(stream=0, job_id="b", version=3, state=4),
            Update(stream=0, job_id="a", version=5, state=3, output=_OUTPUT),
        ],
        tables=Tables(
            jobs={"a": "ra", "b": "rb"},
            results={
                "a": Result(3, 2, 5, 2, 19.0, 21.0, _OUTPUT),
                "b": Result(4, 1, 3, 3, 19.0, 21.0),
            },
            attempts=[PastAttempt("a", 1, 1, 9.0, 12.0)],
            max_attempts={"a": 2, "b": 1},
        ),
    )


def test_healthy_history_has_no_violation() -> None:
    case = healthy()
    assert violations(case.events, case.tables, recovery_seconds=_RECOVERY_SECONDS) == []


def test_worker_that_was_cut_off_may_begin_late_what_it_had() -> None:
    case = healthy()
    case.events.append(Run(job_id="a", attempt=2, run="third", time=22.0))
    assert violations(case.events, case.tables, late_seconds=0.5) != []
    assert violations(case.events, case.tables, late_seconds=2) == []


def _lose(case: Case) -> None:
    del case.tables.jobs["a"], case.tables.results["a"]
    case.tables.attempts.clear()


def _leave_waiting(case: Case) -> None:
    del case.tables.results["a"]
    case.tables.waiting.append("a")


def _stalled() -> list[AnyEvent]:
    """No end for long, while something was broken."""
    late = 21.5 + _RECOVERY_SECONDS + 1
    return [
        Fault(kind="kill", begin_time=20.0, end_time=late, hits=1),
        Update(stream=3, job_id="b", version=3, state=4, time=late),
    ]


def _slowly() -> list[AnyEvent]:
    """One end after the other, until long after the last fault."""
    times = [21.5 + _RECOVERY_SECONDS * part for part in (0.4, 0.8)]
    return [
        Update(stream=3 + n, job_id="b", version=3, state=4, time=t) for n, t in enumerate(times)
    ]


SEEDS: list[tuple[str, str, Callable[[Case], object]]] = [
    ("K1", "acknowledged job is gone", _lose),
    ("K1", "acknowledged job has not ended", _leave_waiting),
    ("K2", "job out of nowhere", lambda c: c.tables.jobs.update(x="rx")),
    ("K2", "refused creation made a job", lambda c: c.tables.jobs.update(x="rc")),
    ("K2", "one request made two jobs", lambda c: c.tables.jobs.update(x="rb")),
    (
        "K2",
        "one request was answered with two jobs",
        lambda c: c.change(Create, request_id="ra", result="ok", job_id="b"),
    ),
    ("K2", "unknown job was delivered", lambda c: c.change(Run, job_id="x")),
    ("K3", "two outcomes were accepted", lambda c: c.change(Report, lease_id=4)),
    (
        "K3",
        "accepted outcome was overwritten",
        lambda c: c.tables.results.update(b=Result(4, 1, 3, 9, 19.0, 21.0)),
    ),
    ("K3", "output of an attempt that had lost", lambda c: c.result(output='{"run":"first"}')),
    ("K3", "output of another job", lambda c: c.change(Run, job_id="b")),
    ("K3", "output of nobody", lambda c: c.result(output='{"run":"none"}')),
    ("K3", "lease id came again", lambda c: c.result(lease_id=1)),
    ("K4", "lease began within another", lambda c: c.result(start_time=11.0)),
    (
        "K5",
        "attempt beyond the accepted one",
        lambda c: c.events.append(Run(job_id="a", attempt=3, run="third", time=20.5)),
    ),
    (
        "K5",
        "delivery after the end",
        lambda c: c.events.append(Run(job_id="a", attempt=2, run="third", time=22.0)),
    ),
    (
        "K6",
        "version fell",
        lambda c: c.events.insert(7, Update(stream=1, job_id="a", version=2, state=1)),
    ),
    (
        "K6",
        "version repeated",
        lambda c: c.events.insert(7, Update(stream=1, job_id="a", version=3, state=2)),
    ),
    (
        "K6",
        "update after the terminal one",
        lambda c: c.events.insert(
            9, Update(stream=1, job_id="a", version=6, state=3, output=_OUTPUT)
        ),
    ),
    ("K6", "stream ended well without an end", lambda c: c.change(Close, code="OK")),
    (
        "K6",
        "stream told another output",
        lambda c: c.events.__setitem__(
            8, Update(stream=1, job_id="a", version=5, state=3, output="{}")
        ),
    ),
    ("K6", "GetJob told another state", lambda c: c.change(Update, state=4)),
    ("K7", "job is nowhere", lambda c: c.tables.results.pop("b")),
    ("K7", "job is in two places", lambda c: c.tables.leased.append("b")),
    ("K7", "job waits twice", lambda c: c.tables.waiting.extend(["b"])),
    ("K7", "orphan waits", lambda c: c.tables.waiting.append("x")),
    ("K7", "orphan result", lambda c: c.tables.results.update(x=Result(3, 1, 1, 7, 1.0, 2.0))),
    ("K7", "attempt too many", lambda c: c.tables.max_attempts.update(a=1)),
    (
        "K7",
        "history of too many attempts",
        lambda c: c.tables.attempts.extend(
            [PastAttempt("b", n, 90 + n, float(n), n + 0.5) for n in (1, 2)]
        ),
    ),
    (
        "K9",
        "nothing ended for long",
        lambda c: c.events.extend(_stalled()),
    ),
    (
        "K9",
        "nothing ended for long at first",
        lambda c: c.change(Create, request_id="ra", result="ok", job_id="a", time=1.0),
    ),
    ("K9", "last end was late", lambda c: c.events.extend(_slowly())),
    (
        "K10",
        "fault met nothing",
        lambda c: c.events.append(Fault(kind="lock", begin_time=14.0, end_time=15.0, hits=0)),
    ),
    ("K7", "orphan attempt", lambda c: c.tables.attempts.append(PastAttempt("x", 1, 8, 1.0, 2.0))),
]


@pytest.mark.parametrize(
    ("invariant", "seed"), [(k, s) for k, _, s in SEEDS], ids=[f"{k} {n}" for k, n, _ in SEEDS]
)
def test_seeded_violation_is_found(invariant: str, seed: Callable[[Case], object]) -> None:
    case = healthy()
    seed(case)
    found = violations(case.events, case.tables, recovery_seconds=_RECOVERY_SECONDS)
    assert any(text.startswith(invariant) for text in found), found
