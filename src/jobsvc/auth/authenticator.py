"""Says who calls, by an API key, a token or a certificate."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from jobsvc.auth.api_keys import ApiKeys
from jobsvc.domain.access_policy import Policy
from jobsvc.domain.api_key import PREFIX
from jobsvc.domain.errors import CredentialsInvalid, CredentialsMissing
from jobsvc.domain.identity import Identity, Principal

#: How far the clocks of an issuer and of this server may differ.
SKEW_SECONDS = 30
#: Credentials that are remembered; the oldest are forgotten first.
_MAX_KNOWN = 20_000
_SCHEME = "bearer "

#: Credentials, as they are remembered: the digest of a text, or the name in a certificate.
Credential = bytes | str


class TokenVerifier(Protocol):
    """Verifies what is no API key."""

    async def verify(self, token: str) -> Principal:
        """Returns whom a token proves. Raises CredentialsInvalid."""
        ...


class Authenticator:
    """Who calls. What was verified once is known until it ends, or something changes that it
    depends on."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Accepts certificates only; `api_keys` and `tokens` may be set before it is used."""
        self.api_keys: ApiKeys | None = None
        self.tokens: TokenVerifier | None = None
        #: Set when callers that are known may have to be looked at again.
        self.changed = asyncio.Event()
        self._policy = Policy()
        self._clock = clock
        self._principals: dict[Credential, Principal] = {}
        #: Another number whenever callers that were known may no longer be who they were.
        self.version = 0
        self._identities: dict[Credential, Identity] = {}

    def take_policy(self, policy: Policy) -> None:
        """Asks another policy what callers may do."""
        self._policy = policy
        self._forget_identities()

    def forget(self, kind: str) -> None:
        """Verifies callers whose names begin with `kind` anew: their keys have changed."""
        self._principals = {
            c: p for c, p in self._principals.items() if not p.name.startswith(kind)
        }
        self._forget_identities()

    def known(self, authorization: str, certificate: str) -> Identity | None:
        """Returns who calls if these credentials are known; `certificate` is the name in that of
        the peer. An `authorization` comes first."""
        identity = self._identities.get(_credential(authorization, certificate))
        if identity is None or self._has_ended(identity):
            return None
        if identity.key_id and self.api_keys is not None:
            self.api_keys.used(identity.key_id)
        return identity

    def still_knows(self, identity: Identity, version: int) -> bool:
        """Returns whether `known` would return this identity, which it returned at `version`, for
        the same credentials: without their digest, which takes longer than all else in it."""
        return version == self.version and not self._has_ended(identity)

    async def identify(self, authorization: str, certificate: str) -> Identity:
        """Returns who calls.

        Raises:
            CredentialsMissing: there are no credentials.
            CredentialsInvalid: they prove nobody.
        """
        if found := self.known(authorization, certificate):
            return found
        credential = _credential(authorization, certificate)
        principal = self._principals.get(credential)
        if principal is None or self._has_ended(principal):
            principal = await self._verify(authorization, certificate)
        identity = self._policy.identify(principal)
        if identity.key_id and self.api_keys is not None:
            self.api_keys.used(identity.key_id)
        while len(self._principals) >= _MAX_KNOWN:
            oldest = next(iter(self._principals))
            del self._principals[oldest]
            self._identities.pop(oldest, None)
        self._principals[credential] = principal
        self._identities[credential] = identity
        return identity

    def _forget_identities(self) -> None:
        self._identities.clear()
        self.version += 1
        self.changed.set()

    def _has_ended(self, proven: Principal | Identity) -> bool:
        return proven.end_time is not None and self._clock() >= proven.end_time + SKEW_SECONDS

    async def _verify(self, authorization: str, certificate: str) -> Principal:
        if not authorization:
            if certificate:
                return Principal(certificate)
            raise CredentialsMissing("the call carries no credentials")
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise CredentialsInvalid("authorization must be Bearer and a token")
        token = authorization[len(_SCHEME) :].strip()
        if token.startswith(PREFIX):
            if self.api_keys is None:
                raise CredentialsInvalid("API keys are not accepted here")
            return self.api_keys.verify(token)
        if self.tokens is None:
            raise CredentialsInvalid("tokens are not accepted here")
        return await self.tokens.verify(token)


def _credential(authorization: str, certificate: str) -> Credential:
    # A digest, so that what is remembered is of no use to others.
    return hashlib.sha256(authorization.encode()).digest() if authorization else certificate
