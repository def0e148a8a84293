"""The one place where a failure of the database is told, counted and remembered."""

import asyncio
import logging
import time

from jobsvc.event_log import LineLimit
from jobsvc.store.sqlstate import Answer
from jobsvc.store.statement import writes
from jobsvc.store.troubles import DATABASE, WRITES, Troubles
from jobsvc.telemetry.measurements import Tally

log = logging.getLogger(__name__)


class TroubleLog:
    """The troubles of one replica with its database, over all its connections."""

    def __init__(self, failures: Tally | None = None) -> None:
        self._failures = Tally() if failures is None else failures
        self._troubles = Troubles()
        self._refusals = LineLimit()
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._troubles)

    @property
    def is_away(self) -> bool:
        """Whether the database answers nobody."""
        return self._troubles.is_away

    async def until_changed(self) -> None:
        """Waits until something has failed or works again."""
        await self._changed.wait()
        self._changed.clear()

    def failed(self, statement: str, answer: Answer, kind: str, why: str) -> None:
        """Records that a statement failed; `kind` is its SQLSTATE, or the name of the error."""
        self._failures.add(1, kind)
        subject = {Answer.AWAY: DATABASE, Answer.READ_ONLY: WRITES}.get(answer, statement)
        line = self._troubles.failed(subject, why, time.monotonic())
        if line is not None:
            log.warning("%s", line)
        self._changed.set()

    def not_storable(self, statement: str, why: str) -> None:
        """Records that a value cannot be stored, which is no trouble of the database."""
        now = time.monotonic()
        for before, count in self._refusals.take_missed(now).items():
            log.warning("%s: %d more times", before, count)
        line = f"{statement}: {why}"
        if self._refusals.admits(line, now):
            log.warning("%s", line)

    def worked(self, statement: str) -> None:
        """Records that a statement worked. Worth a call only while anything is wrong."""
        for line in self._troubles.worked(statement, writes(statement), time.monotonic()):
            log.warning("%s", line)
        self._changed.set()
