"""How long an ended job is kept."""

from jobsvc.domain.lease import LeaseTerms
from jobsvc.settings import Settings

#: Several polls: time for every follower to read a terminal status.
_MIN_KEEP_SECONDS = 60.0


def keep_seconds(terms: LeaseTerms, failed: bool, settings: Settings) -> float:
    """Returns how long to keep the job for its readers: its retention, but long enough for its
    followers to see its end. expire_jobs.sql does the same."""
    asked = terms.retention_seconds
    if asked is None:
        asked = settings.failed_retention_seconds if failed else settings.retention_seconds
    return max(asked, _MIN_KEEP_SECONDS)
