"""Lets calls in: finds who makes each, and counts it for that one."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
from typing import Any

from grpc import aio

from jobsvc.api.admission import Admission
from jobsvc.api.auth import CallerReader, Metadata, current_caller
from jobsvc.api.byte_budget import Charge
from jobsvc.api.call_limit import CallLimit, caller_of
from jobsvc.api.connections import Connections
from jobsvc.api.gate import Gate, Recalled
from jobsvc.domain.methods import Method
from jobsvc.domain.share import CallKind, CallTerms
from jobsvc.event_loop.turns import line, turn_caller

Context = aio.ServicerContext[Any, Any]


class CallEntry:
    """Lets calls in."""

    def __init__(
        self,
        admission: Admission,
        connections: Connections,
        callers: CallerReader,
        gate: Gate | None,
    ) -> None:
        """Without a gate, nobody is asked who it is."""
        self._admission = admission
        self._connections = connections
        self._callers = callers
        self._gate = gate
        self._turns = line()

    def first_caller(
        self, kind: CallKind, context: Context, metadata: Metadata
    ) -> tuple[str, CallTerms | None, Recalled | None]:
        """For whom a call counts at first, that one's terms, and what `identify` needs: who makes
        it if that is known without work, else the address that it comes from."""
        recalled = None if self._gate is None else self._gate.recall(context, metadata)
        if recalled is None:
            return caller_of(context.peer()), None, None
        identity = recalled.identity
        return caller_of("", identity), identity.share.terms[kind], recalled

    async def count_late(
        self, limit: CallLimit, caller: str, terms: CallTerms | None, context: Context
    ) -> None:
        """Counts a call after a wait, which is longer for a caller that is refused again and again.

        Raises:
            RateLimited, StreamLimit: there is still no room for it.
        """
        self._turns.leave_short(asyncio.current_task())
        remaining = context.time_remaining()
        # So that its caller hears of it before the deadline.
        await self._admission.late_refusals.wait(caller, remaining and remaining / 2)
        limit.enter(caller, terms)

    def check(self, method: Method, context: Context, metadata: Metadata) -> None:
        """Refuses a call that its handler must not get, and sets the current caller unless there
        is a gate to be asked."""
        self._admission.check_draining(method)
        if self._connections.full:
            self._connections.check(context.peer())
        if self._gate is None and method.reads_caller:
            current_caller.set(self._callers.read(metadata))

    async def identify(
        self,
        gate: Gate,
        method: Method,
        kind: CallKind,
        context: Context,
        metadata: Metadata,
        recalled: Recalled | None,
        limit: CallLimit,
        counted: str,
        charge: Charge,
        apart: str = "",
    ) -> str:
        """Refuses a call of somebody who may not make it, and sets the current caller. Counts the
        call, and what it holds, for who makes it in place of `counted`; returns for whom. Its bytes
        are those of this caller `apart`.

        Raises:
            CredentialsMissing, CredentialsInvalid, RoleRequired: as `Gate.enter`.
            RateLimited, StreamLimit: there is no room for it; it counts as before.
        """
        identity = await gate.enter(method.roles, context, metadata, recalled)
        if method.reads_caller:
            current_caller.set(self._callers.read(metadata, identity))
        caller = caller_of("", identity)
        if caller != counted:
            terms = identity.share.terms[kind]
            if not limit.move(counted, caller, terms):
                await self.count_late(limit, caller, terms, context)
                limit.leave(counted)
            turn_caller.set(caller)
            charge.pass_to(caller + apart, terms.most_bytes)
        return caller


def kind_of(method: Method, is_stream: bool) -> CallKind:
    """The kind of the calls of a method. To refuse reports and extensions would waste work that is
    done."""
    if method.served_while_draining:
        return CallKind.REPORT
    if is_stream:
        return CallKind.STREAM
    return CallKind.WAITING if method.waits else CallKind.CALL
