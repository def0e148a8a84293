"""The line about the end of a worker: how it ended, and what becomes of each of its jobs."""

import asyncio
import logging
import re
import time
from datetime import datetime

import pytest

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.subscription import Subscription
from jobsvc.dispatch.worker_log import WorkerLog
from jobsvc.domain.errors import ServerDraining, WorkerDeaf, WorkerReplaced
from jobsvc.event_log import MAX_NAMES
from jobsvc.plain_text import LogFormatter
from tests.support.samples import JOB_ID, leased_job, seen_worker

ACKNOWLEDGE_SECONDS = 5.0


@pytest.fixture
def worker() -> ConnectedWorker:
    return ConnectedWorker(Subscription("w", {"q": 0}, 100), seen_worker(), peer="ipv4:10.0.0.1:5")


def end(
    worker: ConnectedWorker, error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> logging.LogRecord:
    """The record about the end of a worker."""
    caplog.set_level(logging.INFO, "jobsvc")
    WorkerLog(ACKNOWLEDGE_SECONDS).ended(worker, error)
    (record,) = caplog.records
    return record


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (None, "worker_left", "INFO"),
        (asyncio.CancelledError(), "worker_lost", "WARNING"),
        (WorkerReplaced("gone"), "worker_replaced", "INFO"),
        (WorkerDeaf("it is deaf"), "worker_refused", "WARNING"),
        (RuntimeError("a defect"), "worker_lost", "WARNING"),
    ],
)
def test_each_end_has_its_event(
    worker: ConnectedWorker,
    error: BaseException | None,
    event: str,
    level: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = end(worker, error, caplog)
    assert (record.event, record.levelname) == (event, level)  # type: ignore[attr-defined]
    assert "no job" in record.getMessage()
    assert not hasattr(record, "leases_end_by")


@pytest.mark.parametrize("error", [None, asyncio.CancelledError(), ServerDraining("bye")])
def test_worker_that_ends_with_the_server_is_not_lost(
    worker: ConnectedWorker, error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    worker.deal([leased_job(1)], 0.0)
    worker.draining = True
    assert end(worker, error, caplog).event == "worker_sent_away"  # type: ignore[attr-defined]


def test_worker_that_ends_its_stream_with_jobs_is_lost(
    worker: ConnectedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.deal([leased_job(1)], 0.0)
    worker.take(1)
    assert end(worker, None, caplog).event == "worker_lost"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "event"), [(None, "worker_comes_back"), (asyncio.CancelledError(), "worker_lost")]
)
def test_worker_that_comes_back_with_its_jobs_is_not_lost_unless_the_stream_breaks(
    worker: ConnectedWorker,
    error: BaseException | None,
    event: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker.deal([leased_job(1)], 0.0)
    worker.take(1)
    worker.comes_back = True
    assert end(worker, error, caplog).event == event  # type: ignore[attr-defined]


def test_worker_that_leaves_while_a_job_is_on_its_way_is_not_lost(
    worker: ConnectedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.deal([leased_job(1)], 0.0)
    record = end(worker, None, caplog)
    assert record.event == "worker_left"  # type: ignore[attr-defined]
    assert record.getMessage().endswith("; 1 that were never sent go back to their queues")


def test_each_job_is_counted_once_where_it_goes(
    worker: ConnectedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [leased_job(number) for number in range(1, 11)]
    worker.deal(jobs, 0.0)
    worker.sent(1, worker.take(5), 0.0)
    worker.acknowledge_frames(1, 0.0)
    worker.sent(2, worker.take(3), 0.0)
    # Rescued meanwhile: one of each kind.
    worker.drop([jobs[0].id, jobs[5].id])
    worker.handed_back = 4
    before = time.time()
    text = end(worker, asyncio.CancelledError(), caplog).getMessage()
    assert re.fullmatch(
        r"worker w is lost: its stream broke off; it held 8 jobs \(.* and 3 more\);"
        r" 4 were handed back; 2 that were never sent go back to their queues;"
        r" 2 that it may not have received go back by \d\d:\d\d:\d\d;"
        r" the leases of 4 end by (\d\d:\d\d:\d\d) unless it comes back",
        text,
    ), text
    assert text.count(JOB_ID) == MAX_NAMES
    ends = datetime.fromisoformat(caplog.records[0].leases_end_by).timestamp()  # type: ignore[attr-defined]
    assert before + 29 <= ends <= time.time() + 30


def test_longest_extension_counts(
    worker: ConnectedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.deal([leased_job(1)], 0.0)
    worker.saw_lengths([120.0, 0.0])
    worker.saw_lengths([])
    record = end(worker, asyncio.CancelledError(), caplog)
    ends = datetime.fromisoformat(record.leases_end_by).timestamp()  # type: ignore[attr-defined]
    assert ends > time.time() + 100


def test_names_of_others_forge_no_line(
    worker: ConnectedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.subscription.worker_id = "w\n2030-01-01 ERROR forged"
    assert "\n" not in LogFormatter().format(end(worker, None, caplog))
