"""Secrets that all replicas share, and what proves callers."""

from collections.abc import Sequence

import asyncpg

from jobsvc.domain.api_key import ApiKey
from jobsvc.store.channel import api_key_message
from jobsvc.store.database import Database
from jobsvc.store.ddl import DatabaseUnsuitable


class CredentialStore:
    """Statements on secrets and API keys."""

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

    async def create_key(
        self,
        key_id: str,
        name: str,
        digest: bytes,
        roles: Sequence[str],
        queues: Sequence[str],
        seconds: float | None,
    ) -> None:
        """Records an API key that is valid for so long, for ever if None."""
        await self._database.fetch(
            "create_api_key", key_id, name, digest, list(roles), list(queues), seconds
        )

    async def list_keys(self) -> list[ApiKey]:
        """Returns all API keys, by name."""
        return [_key_from(row) for row in await self._database.fetch("list_api_keys")]

    async def usable_keys(self) -> list[ApiKey]:
        """Returns the API keys that are neither revoked nor expired."""
        return [_key_from(row) for row in await self._database.fetch("usable_api_keys")]

    async def revoke_key(self, key_id: str) -> str | None:
        """Revokes an API key. Returns its name; None if there is no such key."""
        rows = await self._database.fetch("revoke_api_key", key_id)
        return rows[0]["name"] if rows else None

    async def tell_changed(self, channel: str, key_id: str) -> None:
        """Lets the replicas that listen to `channel` hear that a key was made or revoked."""
        await self._database.fetch("send_hints", channel, [api_key_message(key_id)])

    async def note_key_use(self, key_ids: Sequence[str]) -> None:
        """Notes that API keys were used just now."""
        await self._database.fetch("note_api_key_use", list(key_ids))


def _key_from(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        row["id"],
        row["name"],
        row["digest"],
        tuple(row["roles"]),
        tuple(row["queues"]),
        row["create_time"],
        row["expire_time"],
        row["revoke_time"],
        row["last_use_time"],
    )
