"""Secrets that all replicas share."""

from jobsvc.store.database import Database
from jobsvc.store.ddl import DatabaseUnsuitable


class CredentialStore:
    """Statements on secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_key(self) -> bytes:
        """Returns the key that session ids are hashed with when the settings give none.

        Raises:
            DatabaseUnsuitable: there is none, as after a restore from a dump without it.
        """
        rows = await self._database.fetch("read_secret", "session_key")
        if not rows:
            raise DatabaseUnsuitable(
                "the database has no session key: set JOBSVC_SESSION_KEY, or `jobsvc restore-check`"
                " makes one"
            )
        key: bytes = rows[0]["value"]
        return key
