"""Selects the status updates that the demo shows, and names their documents."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from jobsvc.client import JobState, JobUpdate


class Titled:
    """Passes updates to `show` with the title of the document in place of the job's id.

    With `steps_only`, passes only updates that begin, delay or end an attempt,
    without progress: a terminal that cannot redraw prints each as a line.
    """

    def __init__(
        self, show: Callable[[JobUpdate], None], titles: Mapping[str, str], steps_only: bool
    ) -> None:
        self._show = show
        self._titles = titles
        self._steps_only = steps_only
        self._latest: dict[str, tuple[JobState, int]] = {}

    def show(self, update: JobUpdate) -> None:
        """Passes the newest status of a job, if it is selected."""
        status = update.status
        if self._steps_only:
            step = (status.state, status.attempt)
            if self._latest.get(update.job_id, (JobState.PENDING, 0)) == step:
                return
            self._latest[update.job_id] = step
            status = replace(status, progress_percent=None, progress_message="")
        self._show(replace(update, job_id=self._titles[update.job_id], status=status))
