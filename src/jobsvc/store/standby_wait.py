"""Notices that a commit was confirmed which a synchronous standby may not have.

PostgreSQL writes a commit here first, and then waits for the standby. Whoever cancels that wait is
told by a warning only: the statement succeeds.
"""

from typing import Any

import asyncpg

#: The function that warns, as PostgreSQL's messages name it: the text may be translated.
_WAITING = "SyncRepWaitForLSN"


class StandbyWaitCancelled(asyncpg.InterfaceError):
    """A commit is written here, and may be missing on the standby."""


class WatchedConnection(asyncpg.Connection):
    """A connection that hears the warning. The driver's listeners do not outlive a pool's loan."""

    __slots__ = ("_is_wait_cancelled",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._is_wait_cancelled = False

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        if fields.get("R") == _WAITING:
            self._is_wait_cancelled = True
        super()._process_log_message(fields, last_query)  # type: ignore[misc]  # not in the stubs

    def check_wait(self) -> None:
        """Checks that no commit since the last call is missing on a synchronous standby.

        Raises:
            StandbyWaitCancelled: one may be.
        """
        if self._is_wait_cancelled:
            self._is_wait_cancelled = False
            raise StandbyWaitCancelled(
                "the wait for a synchronous standby was cancelled: what was written may be lost in"
                " a failover"
            )
