"""The API keys as a replica knows them: all in memory, half a second old at most."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from jobsvc.domain.api_key import ApiKey, read_key
from jobsvc.domain.errors import CredentialsInvalid, DatabaseFailure
from jobsvc.domain.identity import Principal
from jobsvc.store.credentials import CredentialStore

#: A key that is revoked must be refused within a second, by replicas that hear no hint too.
_POLL_SECONDS = 0.5
#: How old the time of last use is at most.
_SAVE_SECONDS = 30.0
_REFUSAL = "the API key is unknown, revoked or expired"


class ApiKeys:
    """Keys by id. `run` it while keys are accepted; no call waits for the database."""

    def __init__(self, store: CredentialStore, on_change: Callable[[], None]) -> None:
        """`on_change` is called when keys have gone or come."""
        self._store = store
        self._on_change = on_change
        self._keys: Mapping[str, ApiKey] = {}
        self._used: set[str] = set()
        self._hint = asyncio.Event()

    async def load(self) -> None:
        """Reads all keys.

        Raises:
            DatabaseFailure: they stay as they are.
        """
        keys = {key.id: key for key in await self._store.usable_keys()}
        # The time of last use is no change.
        has_changed = {k: v.digest for k, v in keys.items()} != {
            k: v.digest for k, v in self._keys.items()
        }
        self._keys = keys
        if has_changed:
            self._on_change()

    async def run(self) -> None:
        """Reads the keys again and again, at once after a hint, and saves which were used."""
        save_time = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._hint.wait()
            self._hint.clear()
            with suppress(DatabaseFailure):
                await self.load()
                now = asyncio.get_running_loop().time()
                if self._used and now >= save_time:
                    used, self._used = self._used, set()
                    save_time = now + _SAVE_SECONDS
                    await self._store.note_key_use(sorted(used))

    def changed(self) -> None:
        """Lets the keys be read soon."""
        self._hint.set()

    def used(self, key_id: str) -> None:
        """Notes that a call was made with a key."""
        self._used.add(key_id)

    def verify(self, text: str) -> Principal:
        """Returns whom a key proves.

        Raises:
            CredentialsInvalid: nobody.
        """
        found = read_key(text)
        key = found and self._keys.get(found[0])
        if not found or not key or not key.proves(found[1], datetime.now(UTC)):
            raise CredentialsInvalid(_REFUSAL)
        return key.principal
