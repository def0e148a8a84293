"""Lets in who may make a call, and ends calls that outlive their credentials. There is none where
callers are not authenticated."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from grpc import aio

from jobsvc.api.auth import Metadata, current_identity
from jobsvc.auth.authenticator import SKEW_SECONDS, Authenticator
from jobsvc.auth.certificate_end import certificate_end
from jobsvc.domain.errors import CredentialsInvalid, CredentialsMissing
from jobsvc.domain.identity import SERVICE_NAME, Identity

Context = aio.ServicerContext[Any, Any]

_URI_SCHEME = "spiffe://"
_ENDED = "the credentials with which the call began have ended"


class _Shown(NamedTuple):
    """The credentials of a call: its `authorization` or, if it has none, the certificate of its
    peer."""

    authorization: str
    #: The name in it, and it, as PEM; empty beside an `authorization`.
    certificate: str = ""
    pem: bytes = b""


@dataclass(slots=True, eq=False)
class _Call:
    """A call in progress, and what let it in."""

    authorization: str
    certificate: str
    identity: Identity
    #: Seconds since 1970 when its credentials end; None if they do not.
    end_time: float | None
    #: Of a call that waits.
    timeout: asyncio.Timeout | None = None


class Recalled(NamedTuple):
    """Who makes a call, by credentials that are known, and what was read of them. Lets nobody in:
    `Gate.enter` asks whether it still holds."""

    identity: Identity
    #: Of the authenticator, when the identity was looked up.
    version: int
    shown: _Shown


_current_call: ContextVar[_Call] = ContextVar("current_call")


def credentials_ended() -> CredentialsInvalid | None:
    """Returns the error that ends the current call for its credentials; None if nothing does."""
    call = _current_call.get(None)
    if call is None or call.timeout is None or not call.timeout.expired():
        return None
    return CredentialsInvalid(_ENDED)


class Gate:
    """Asks every call who makes it. `run` it while calls are served."""

    def __init__(
        self,
        authenticator: Authenticator,
        after_expiry_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Calls that wait go on for at most so long after the end of their credentials."""
        self._authenticator = authenticator
        self._after_expiry_seconds = after_expiry_seconds
        self._clock = clock
        self._waiting: set[_Call] = set()

    def recall(self, context: Context, metadata: Metadata) -> Recalled | None:
        """Returns who makes the call if its credentials are known, which takes a microsecond or
        two; None says nothing of them. Lets nobody in."""
        try:
            shown = _credentials(context, metadata)
        except CredentialsInvalid:
            return None
        identity = self._authenticator.known(shown.authorization, shown.certificate)
        return None if identity is None else Recalled(identity, self._authenticator.version, shown)

    async def enter(
        self,
        roles: Iterable[str],
        context: Context,
        metadata: Metadata,
        recalled: Recalled | None = None,
    ) -> Identity:
        """Returns who makes the call, who has one of `roles`, and makes it the current identity,
        even of a call that it may not make. `recalled` is what `recall` said of this call, however
        long ago.

        Raises:
            CredentialsMissing, CredentialsInvalid: nobody is known to make it.
            RoleRequired: the caller may not.
        """
        shown = recalled.shown if recalled else _credentials(context, metadata)
        authorization, certificate, pem = shown
        # Before that of an identity: another certificate of the same name ends at another time.
        end_time = self._certificate_end(pem) if certificate else None
        if recalled and self._authenticator.still_knows(recalled.identity, recalled.version):
            identity = recalled.identity
        else:
            identity = await self._authenticator.identify(authorization, certificate)
        # First: the audit names who was refused.
        current_identity.set(identity)
        identity.check_any(roles)
        if end_time is None:
            end_time = identity.end_time
        _current_call.set(_Call(authorization, certificate, identity, end_time))
        return identity

    def _certificate_end(self, pem: bytes) -> float:
        """When the certificate of the peer ends. A connection may outlive it.

        Raises:
            CredentialsInvalid: it has ended.
        """
        end_time = certificate_end(pem)
        if self._clock() >= end_time + SKEW_SECONDS:
            raise CredentialsInvalid("the certificate of the connection has ended")
        return end_time

    def bounded(self, handle: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        """Returns the handler of calls that wait, which end when their credentials do."""

        async def handle_bounded(request: Any, context: Context) -> Any:
            call = _current_call.get()
            end_time = call.end_time
            seconds = (
                None if end_time is None else end_time + self._after_expiry_seconds - self._clock()
            )
            try:
                async with asyncio.timeout(seconds) as call.timeout:
                    self._waiting.add(call)
                    # What let the call in may have been taken away before it was among these.
                    if self._authenticator.known(
                        call.authorization, call.certificate
                    ) is not call.identity and not await self._may_go_on(call):
                        raise CredentialsInvalid(_ENDED)
                    return await handle(request, context)
            except TimeoutError:
                if (ended := credentials_ended()) is not None:
                    raise ended from None
                raise
            finally:
                self._waiting.discard(call)

        return handle_bounded

    async def run(self) -> None:
        """Looks at calls in progress again when keys or the policy have changed, until
        cancelled."""
        while True:
            await self._authenticator.changed.wait()
            self._authenticator.changed.clear()
            for call in list(self._waiting):
                if not await self._may_go_on(call):
                    self._end(call)
                await asyncio.sleep(0)

    async def _may_go_on(self, call: _Call) -> bool:
        try:
            now = await self._authenticator.identify(call.authorization, call.certificate)
        except (CredentialsInvalid, CredentialsMissing):
            return False
        return now.covers(call.identity)

    def _end(self, call: _Call) -> None:
        if call in self._waiting and call.timeout is not None and not call.timeout.expired():
            call.timeout.reschedule(asyncio.get_running_loop().time())


def certificate_name(properties: Mapping[str, Iterable[bytes]]) -> str:
    """Returns the name in the certificate of a peer, as gRPC describes it: its SPIFFE id, else its
    first DNS name. Empty without a certificate, or one that names nobody."""
    uris = [uri.decode("utf-8", "replace") for uri in properties.get("peer_uri", ())]
    if uris:
        # As its specification says, there is exactly one.
        name = uris[0] if len(uris) == 1 and uris[0].startswith(_URI_SCHEME) else ""
    else:
        names = [dns.decode("utf-8", "replace") for dns in properties.get("peer_dns", ())]
        name = f"dns:{names[0]}" if names else ""
    return name if SERVICE_NAME.fullmatch(name) else ""


def _credentials(context: Context, metadata: Metadata) -> _Shown:
    """Raises CredentialsInvalid."""
    if authorization := _authorization(metadata):
        return _Shown(authorization)
    properties = context.auth_context()
    if not (name := certificate_name(properties)):
        return _Shown("")
    # There is one. Anything else has no end, and is refused for that.
    return _Shown("", name, b"".join(properties.get("x509_pem_cert", ())))


def _authorization(metadata: Metadata) -> str:
    """Raises CredentialsInvalid."""
    found = ""
    for key, value in metadata:
        if key == "authorization":
            if found:
                raise CredentialsInvalid("authorization is given more than once")
            found = value.decode("latin-1") if isinstance(value, bytes) else value
            if not found:
                raise CredentialsInvalid("authorization is empty")
    return found
