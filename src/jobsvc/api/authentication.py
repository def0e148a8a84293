"""What a replica needs to know its callers, as the settings ask for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from jobsvc.api.gate import Gate
from jobsvc.auth.api_keys import ApiKeys
from jobsvc.auth.authenticator import Authenticator
from jobsvc.auth.policy_file import PolicyFile
from jobsvc.settings import Settings
from jobsvc.store.hints import Hint
from jobsvc.store.store import Store

if TYPE_CHECKING:
    from jobsvc.auth.jwt import JwtVerifier


class Authentication:
    """Policy, API keys and tokens of one replica, and the gate that asks them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Raises FileUnusable."""
        self._authenticator = authenticator = Authenticator()
        self.gate = Gate(authenticator, settings.stream_after_expiry_seconds)
        self._policy = PolicyFile(settings.policy, authenticator.take_policy)
        self._api_keys: ApiKeys | None = None
        if settings.accept_api_keys:
            self._api_keys = ApiKeys(store.credentials, partial(authenticator.forget, "key:"))
            authenticator.api_keys = self._api_keys
        self._tokens: JwtVerifier | None = None
        if settings.jwt_issuer is not None:
            self._tokens = _verifier(settings, partial(authenticator.forget, "jwt:"))
            authenticator.tokens = self._tokens

    def on_hint(self, hint: Hint) -> None:
        """Hears that API keys were made or revoked."""
        if hint.api_keys and self._api_keys is not None:
            self._api_keys.changed()

    def reload(self) -> None:
        """Reads all files again."""
        if self._policy.files is not None:
            self._policy.files.reload()
        if self._tokens is not None:
            self._tokens.keys.reload()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Knows of changes until the end of the block. Raises DatabaseUnavailable."""
        if self._api_keys is not None:
            await self._api_keys.load()
        parts = [self.gate.run()]
        if self._policy.files is not None:
            parts.append(self._policy.files.run())
        if self._api_keys is not None:
            parts.append(self._api_keys.run())
        if self._tokens is not None:
            parts.append(self._tokens.keys.run())
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(part) for part in parts]
            try:
                yield
            finally:
                for task in started:
                    task.cancel()


def _verifier(settings: Settings, on_change: Callable[[], None]) -> "JwtVerifier | None":
    # In an extra, which `jobsvc serve` has asked for.
    from jobsvc.auth.jwt import JwtVerifier

    return JwtVerifier.named(settings, on_change)
