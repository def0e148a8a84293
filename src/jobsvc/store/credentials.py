"""Secrets that all replicas share."""

from jobsvc.store.database import Database


class CredentialStore:
    """Statements on secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def session_key(self) -> bytes:
        """Returns the key that session ids are hashed with when the settings give none."""
        (row,) = await self._database.fetch("read_secret", "session_key")
        key: bytes = row["value"]
        return key
