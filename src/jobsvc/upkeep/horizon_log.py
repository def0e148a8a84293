"""What log and metrics say of whoever keeps dead rows from being removed."""

import logging
import time
from collections.abc import Callable, Mapping

from jobsvc.domain.dead_rows import HorizonHolder

log = logging.getLogger(__name__)

#: A younger transaction is nobody's trouble: that of a statement, say.
_MIN_AGE_SECONDS = 5.0
#: The least time between two lines about the same holder.
LINE_SECONDS = 60.0
#: Somebody holds the horizon whom this role may not see.
_UNSEEN = (
    "somebody whom this role may not see (who is seen after: GRANT pg_read_all_stats TO the role)"
)


class HorizonLog:
    """A line when somebody new holds the horizon, one a minute while it lasts, and one at the
    end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: Since when there are vacuums that remove little.
        self._since: float | None = None
        self._told: tuple[str, int | None, str] | None = None
        self._told_time = 0.0
        #: For how long the horizon has been held; 0 while nobody holds it.
        self.age_seconds = 0.0

    def held(self, holder: HorizonHolder | None, dead_rows: Mapping[str, int]) -> None:
        """Records that vacuums leave `dead_rows` in tables, by name, because of the holder."""
        now = self._clock()
        if self._since is None:
            self._since = now
        seconds = now - self._since
        if holder is not None and holder.seconds is not None:
            seconds = holder.seconds
        self.age_seconds = seconds
        if seconds < _MIN_AGE_SECONDS:
            return
        subject = ("", None, "") if holder is None else (holder.kind, holder.pid, holder.name)
        if subject == self._told and now - self._told_time < LINE_SECONDS:
            return
        self._told, self._told_time = subject, now
        log.warning(
            "%s cannot be removed by a vacuum, and slow down claims, while %s is there",
            " and ".join(f"{count} dead rows of {name}" for name, count in dead_rows.items()),
            _UNSEEN if holder is None else holder.describe(),
            extra={
                "event": "horizon_held",
                "dead_rows": sum(dead_rows.values()),
                "age_seconds": round(seconds, 1),
                **({} if holder is None else {"kind": holder.kind, "pid": holder.pid}),
                **({} if holder is None else {"holder": holder.name, "role": holder.role}),
            },
        )

    def over(self) -> None:
        """Records that no vacuum is useless."""
        if self._since is None:
            return
        if self._told is not None:
            log.warning(
                "dead rows can be removed again, after %d s",
                self._clock() - self._since,
                extra={"event": "horizon_released"},
            )
        self._since = self._told = None
        self.age_seconds = 0.0
