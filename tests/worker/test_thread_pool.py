"""Threads for processors: abandoned when they hang, and spared when the system has none."""

import threading
from collections.abc import Callable
from queue import Queue

import pytest

from jobsvc.worker.thread_pool import ThreadPool
from tests.worker.support.scripted_server import lease, scripted_server
from tests.worker.support.stage import echo_in_thread, streaming

WAIT = 10.0


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether the system has no thread for a processor."""
    start = threading.Thread.start
    refused = False

    def refuse(thread: threading.Thread) -> None:
        if refused and thread.name == "processor":
            raise RuntimeError("can't start new thread")
        start(thread)

    def be(now: bool) -> None:
        nonlocal refused
        refused = now

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return be


class _Hanging:
    """Work that returns at once, for the item `hangs` after `go_on`."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.started: Queue[str] = Queue()
        self.thread: threading.Thread | None = None

    def __call__(self, item: str) -> None:
        self.started.put(item)
        if item == "hangs":
            self.thread = threading.current_thread()
            self.go_on.wait(WAIT)

    def next(self) -> str:
        return self.started.get(timeout=WAIT)


def test_threads_run_side_by_side_up_to_the_size() -> None:
    together = threading.Barrier(3)
    done: Queue[int] = Queue()

    def work(item: int) -> None:
        together.wait(WAIT)
        done.put(item)

    pool = ThreadPool(3, work)
    for item in range(3):
        pool.submit(item)
    assert {done.get(timeout=WAIT) for _ in range(3)} == {0, 1, 2}
    pool.close()


def test_given_up_thread_is_replaced_and_ends_when_it_comes_back() -> None:
    work = _Hanging()
    pool = ThreadPool(1, work)
    pool.submit("hangs")
    assert work.next() == "hangs"
    pool.submit("next")
    pool.abandon("hangs")
    assert pool.abandoned == 1
    assert work.next() == "next"
    work.go_on.set()
    pool.submit("last")
    assert work.next() == "last"
    assert work.thread is not None
    work.thread.join(WAIT)
    assert not work.thread.is_alive()
    pool.close()


def test_abandoning_what_does_not_run_changes_nothing() -> None:
    pool = ThreadPool[str](1, lambda _: None)
    pool.abandon("unknown")
    assert pool.abandoned == 0


def test_item_for_which_there_is_no_thread_is_refused(exhausted: Callable[[bool], None]) -> None:
    done: Queue[str] = Queue()
    pool = ThreadPool(2, done.put)
    exhausted(True)
    with pytest.raises(RuntimeError, match="new thread"):
        pool.submit("refused")
    exhausted(False)
    pool.submit("later")
    assert done.get(timeout=WAIT) == "later"
    pool.close()


def test_fewer_threads_have_to_do(exhausted: Callable[[bool], None]) -> None:
    go_on = threading.Event()
    done: Queue[int] = Queue()

    def work(item: int) -> None:
        go_on.wait(WAIT)
        done.put(item)

    pool = ThreadPool(2, work)
    pool.submit(1)
    exhausted(True)
    pool.submit(2)
    go_on.set()
    assert [done.get(timeout=WAIT) for _ in range(2)] == [1, 2]
    pool.close()


def test_given_up_thread_goes_on_if_none_could_take_its_place(
    exhausted: Callable[[bool], None],
) -> None:
    work = _Hanging()
    pool = ThreadPool(1, work)
    pool.submit("hangs")
    assert work.next() == "hangs"
    pool.submit("next")
    exhausted(True)
    pool.abandon("hangs")
    work.go_on.set()
    assert work.next() == "next"
    assert pool.abandoned == 0
    pool.close()


async def test_job_for_which_there_is_no_thread_goes_back(
    exhausted: Callable[[bool], None],
) -> None:
    async with scripted_server() as server, streaming(server, echo_in_thread) as stream:
        exhausted(True)
        await stream.dispatch(lease("a"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.release.reason == "can't start new thread"
        assert outcome.release.delay.seconds == 1
        exhausted(False)
        await stream.dispatch(lease("b"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.HasField("success")
