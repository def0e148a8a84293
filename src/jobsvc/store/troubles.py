"""What is wrong with the database just now, and which lines the log has about it. Pure."""

from dataclasses import dataclass

#: Subjects besides the names of statements.
DATABASE = "the database"
WRITES = "writing"

#: The least time between two lines about a subject, unless it is the end of a told trouble.
LINE_SECONDS = 60.0
#: A trouble that comes back sooner is told only when it has lasted so long.
_LASTING_SECONDS = 5.0
#: A database that failed and did not answer for so long is away. One lost session is none.
AWAY_SECONDS = 1.0
#: A statement that has not failed for so long is nobody's trouble any more, if nobody repeats it.
_FORGET_SECONDS = 300.0


@dataclass(slots=True)
class _Trouble:
    since: float
    last: float
    failures: int = 0
    is_told: bool = False


class Troubles:
    """The subjects that failed and have not worked since. All times are seconds of one clock.

    The database as a whole works when any statement does, writing when one that writes does, and a
    statement when it does itself.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Trouble] = {}
        #: When each subject had its last line.
        self._told: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return bool(self._open)

    @property
    def is_away(self) -> bool:
        """Whether the database answers nobody."""
        trouble = self._open.get(DATABASE)
        return trouble is not None and trouble.last - trouble.since >= AWAY_SECONDS

    def failed(self, subject: str, why: str, now: float) -> str | None:
        """Records a failure, and returns the line about it if one is due: the first, then one a
        minute."""
        trouble = self._open.setdefault(subject, _Trouble(now, now))
        trouble.last = now
        trouble.failures += 1
        seconds = now - trouble.since
        is_quiet = now - self._told.get(subject, -LINE_SECONDS) < LINE_SECONDS
        if is_quiet and (trouble.is_told or seconds < _LASTING_SECONDS):
            return None
        self._told[subject] = now
        if trouble.is_told:
            return f"{subject} still fails, {trouble.failures} times in {seconds:.0f} s: {why}"
        trouble.is_told = True
        return f"{subject} fails: {why}"

    def worked(self, statement: str, writes: bool, now: float) -> list[str]:
        """Records that a statement worked, and returns the lines about the troubles that are
        over."""
        lines = []
        for subject in (DATABASE, statement, *((WRITES,) if writes else ())):
            trouble = self._open.pop(subject, None)
            if trouble is not None and trouble.is_told:
                seconds = now - trouble.since
                lines.append(
                    f"{subject} works again, after {seconds:.1f} s and {trouble.failures} failures"
                )
        self._open = {s: t for s, t in self._open.items() if now - t.last < _FORGET_SECONDS}
        return lines
