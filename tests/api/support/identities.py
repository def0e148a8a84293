"""Callers with credentials, for a replica that authenticates."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from jobsvc.domain.api_key import write_key
from jobsvc.domain.identity import ROLES, WORKER
from jobsvc.settings import Settings
from jobsvc.store.channel import api_key_message
from jobsvc.store.credentials import CredentialStore
from jobsvc.store.database import open_database
from tests.support.issuer import AUDIENCE, NAME, Issuer
from tests.support.planted import plant

Metadata = tuple[tuple[str, str], ...]

#: Patterns of the queues that jobs.worker is for in these tests.
QUEUES = ("q", "mail-*")
#: Each value of the claim `roles` stands for the role of that name.
POLICY = "".join(
    f'[[rules]]\nclaim = "roles"\nvalue = "{role}"\nroles = ["{role}"]\n'
    + (f"queues = {list(QUEUES)}\n" if role == WORKER else "")
    for role in ROLES
)


def bearer(token: str, *more: tuple[str, str]) -> Metadata:
    """The metadata of a call with a token."""
    return (("authorization", f"Bearer {token}"), *more)


def authenticating(settings: Settings, folder: Path, issuer: Issuer) -> Settings:
    """Settings of a replica that takes tokens of the issuer and API keys."""
    (folder / "policy.toml").write_text(POLICY)
    issuer.write(folder / "keys.json")
    return replace(
        settings,
        jwt_issuer=NAME,
        jwt_audience=AUDIENCE,
        jwt_jwks=str(folder / "keys.json"),
        accept_api_keys=True,
        policy=folder / "policy.toml",
    )


@asynccontextmanager
async def credentials(dsn: str) -> AsyncIterator[CredentialStore]:
    """The keys in the database, as the command reaches them."""
    async with open_database(dsn, 1, 10) as database:
        yield CredentialStore(database)


async def make_key(
    dsn: str,
    name: str = "web",
    roles: Sequence[str] = tuple(ROLES),
    queues: Sequence[str] = QUEUES,
    seconds: float | None = None,
    number: int = 1,
) -> tuple[str, str]:
    """Makes an API key, and returns it with its id."""
    key, key_id, digest = write_key(number.to_bytes(6, "big"), bytes([number % 256]) * 32)
    plant(key.rpartition("_")[2])
    async with credentials(dsn) as keys:
        await keys.create_key(key_id, name, digest, roles, queues, seconds)
        await keys.tell_changed("jobsvc", key_id)
    return key, key_id


async def revoke_key(dsn: str, key_id: str, hint: bool = True) -> None:
    """Revokes an API key."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE jobsvc.api_key SET revoke_time = now() WHERE id = $1", key_id)
    if hint:
        await connection.execute("SELECT pg_notify('jobsvc', $1)", api_key_message(key_id))
    await connection.close()
