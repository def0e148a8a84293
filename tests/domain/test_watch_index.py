"""The index of watchers: it misses nobody, and looks at few."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.domain.job import Job, JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.domain.watch_index import WatchIndex
from tests.support.samples import job

OWNERS = st.builds(
    Owner,
    st.sampled_from(["", "web"]),
    st.sampled_from(["", "ann", "bob"]),
    st.sampled_from([None, b"0", b"1", b"2"]),
)
CALLERS = st.builds(
    Owner,
    st.sampled_from(["", "web"]),
    st.sampled_from(["", "ann"]),
    st.sampled_from([None, b"1", b"2"]),
    former_session_hashes=st.sampled_from([(), (b"0",), (b"3", b"0")]),
    sees_all=st.booleans(),
)
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
QUEUES = st.sampled_from(["q", "r", "s"])


@dataclass(eq=False)
class Watching:
    wanted: JobFilter
    caller: Owner


@st.composite
def watchers(draw: st.DrawFn) -> Watching:
    caller = draw(CALLERS)
    wanted = JobFilter(
        queues=draw(st.frozensets(QUEUES)),
        states=draw(st.frozensets(st.sampled_from(JobState))),
        labels=draw(LABELS),
        own_session=caller.session_hash is not None and draw(st.booleans()),
        own_user=caller.user_id != "" and draw(st.booleans()),
    )
    return Watching(wanted, caller)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    return replace(
        job(owner=draw(OWNERS), state=draw(st.sampled_from(JobState))),
        queue=draw(QUEUES),
        labels=draw(LABELS),
    )


@given(st.lists(watchers(), max_size=8), st.lists(jobs(), max_size=8), st.data())
def test_every_watcher_that_a_job_matches_is_found(
    watching: list[Watching], of_jobs: list[Job], data: st.DataObject
) -> None:
    index: WatchIndex[Watching] = WatchIndex()
    for watcher in watching:
        index.add(watcher)
    left = data.draw(st.sets(st.sampled_from(watching))) if watching else set()
    for watcher in left:
        index.remove(watcher)
    present = [watcher for watcher in watching if watcher not in left]
    assert bool(index) == bool(present)
    for each in of_jobs:
        found = index.candidates(each)
        assert set(found) <= set(present)
        wanted = {w for w in present if w.wanted.matches(each, w.caller)}
        assert wanted <= set(found)
        if wanted and index.queues is not None:
            assert each.queue in index.queues


@given(st.lists(watchers(), max_size=8))
def test_nothing_is_left_of_those_who_leave(watching: list[Watching]) -> None:
    index: WatchIndex[Watching] = WatchIndex()
    for watcher in watching:
        index.add(watcher)
    for watcher in watching:
        index.remove(watcher)
    assert not index
    assert index.queues == frozenset()
    assert vars(index) == vars(WatchIndex())


def test_watchers_of_one_queue_that_want_other_jobs_are_not_looked_at() -> None:
    """Thousands watch a queue, each for a user, a session or a label of its own."""
    index: WatchIndex[Watching] = WatchIndex()
    queue = frozenset({"q"})
    for n in range(100):
        index.add(Watching(JobFilter(queue, own_user=True), Owner("", f"user {n}", b"1")))
        index.add(Watching(JobFilter(queue, own_session=True), Owner("", "ann", b"%d" % n)))
        index.add(Watching(JobFilter(queue, labels={"n": str(n)}), Owner()))
        index.add(Watching(JobFilter(queue), Owner("", f"user {n}")))
    bound = replace(job(owner=Owner("", "user 7", b"8")), queue="q", labels={"m": "1"})
    assert len(index.candidates(bound)) == 3
    labelled = replace(job(owner=Owner()), queue="q", labels={"n": "9"})
    # Whoever may see jobs of nobody, and wants them all, and the one with the label.
    assert len(index.candidates(labelled)) == 100 + 1
