"""What of the status updates is shown, and under which name."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from jobsvc.client import JobState, JobUpdate


class Titled:
    """Passes updates on to `show` with the title of the document where the job's id was.

    With `steps_only`, just those that begin, delay or end an attempt, without
    the progress: enough for lines that stay.
    """

    def __init__(
        self, show: Callable[[JobUpdate], None], titles: Mapping[str, str], steps_only: bool
    ) -> None:
        self._show = show
        self._titles = titles
        self._steps_only = steps_only
        self._latest: dict[str, tuple[JobState, int]] = {}

    def show(self, update: JobUpdate) -> None:
        """Takes in the newest status of a job."""
        status = update.status
        if self._steps_only:
            step = (status.state, status.attempt)
            if self._latest.get(update.job_id, (JobState.PENDING, 0)) == step:
                return
            self._latest[update.job_id] = step
            status = replace(status, progress_percent=None, progress_message="")
        self._show(replace(update, job_id=self._titles[update.job_id], status=status))
