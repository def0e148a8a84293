"""The demo shows its documents by title, and outside a terminal only the steps of their jobs."""

from jobsvc.client import JobState, JobStatus, JobUpdate
from jobsvc.demo.progress import Titled


def updates() -> list[JobUpdate]:
    steps = [
        (JobState.PENDING, 0, None),
        (JobState.PROCESSING, 1, None),
        (JobState.PROCESSING, 1, 50),
        (JobState.PENDING, 1, 50),
        (JobState.PROCESSING, 2, None),
        (JobState.COMPLETED, 2, 90),
    ]
    return [
        JobUpdate(
            job_id="id-1",
            queue="q",
            status=JobStatus(state=state, version=i, attempt=attempt, progress_percent=percent),
        )
        for i, (state, attempt, percent) in enumerate(steps)
    ]


def shown(steps_only: bool) -> list[JobUpdate]:
    seen: list[JobUpdate] = []
    titled = Titled(seen.append, {"id-1": "a page"}, steps_only)
    for update in updates():
        titled.show(update)
    return seen


def test_terminal_gets_every_update_by_title() -> None:
    seen = shown(steps_only=False)
    assert [u.status for u in seen] == [u.status for u in updates()]
    assert {u.job_id for u in seen} == {"a page"}


def test_lines_tell_each_step_once_without_progress() -> None:
    seen = shown(steps_only=True)
    assert [(u.status.state, u.status.attempt) for u in seen] == [
        (JobState.PROCESSING, 1),
        (JobState.PENDING, 1),
        (JobState.PROCESSING, 2),
        (JobState.COMPLETED, 2),
    ]
    assert {u.status.progress_percent for u in seen} == {None}
