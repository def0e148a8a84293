"""The audit: calls that change what is not the caller's alone are told and written down."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from math import inf
from typing import Any

from google.protobuf.message import Message
from opentelemetry import trace

from jobsvc.api.auth import current_caller, current_service
from jobsvc.api.call_limit import caller_of
from jobsvc.api.status import reason_of
from jobsvc.domain.audit_entry import CANCELLED, OK, ROLE_REQUIRED, AuditEntry, storable
from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.methods import Method
from jobsvc.event_log import LineLimit
from jobsvc.store.audit import AuditStore
from jobsvc.store.repeat import repeat
from jobsvc.telemetry.catalogue import AUDIT_LOST
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)

#: Entries that one statement writes, and those that may wait for the database.
_MAX_ENTRIES = 500
_MAX_WAITING = 10_000
_SECONDS = 1.0
#: The request was none, or there was no room for it: nothing was asked of anything.
_NOT_NOTED = frozenset({"INVALID_REQUEST", "PAYLOAD_REJECTED", "PAYLOAD_TOO_LARGE", "RATE_LIMITED"})


class AuditTrail:
    """Notes calls: a line of the log each at once, and an entry of the table soon after.

    The entries wait for each other and for the database, the calls for neither: what a call has
    done is done, and a table that cannot be written must not undo or delay it. Entries that find no
    room are told and counted.
    """

    def __init__(
        self,
        store: AuditStore | None,
        clock: Callable[[], float] = time.monotonic,
        measurements: Measurements | None = None,
    ) -> None:
        """Without a store there are lines alone. `clock` is in seconds."""
        self._store = store
        self._clock = clock
        self._lost = (Measurements() if measurements is None else measurements).tally(AUDIT_LOST)
        self._lost.add(0)  # so that it is there before the first
        #: Those that are not written yet: an id, the time of the call, the entry.
        self._waiting: deque[tuple[str, float, AuditEntry]] = deque()
        self._is_full = False
        self._limit = LineLimit()
        #: The last of each kind of refusals that were too many.
        self._missed: dict[str, AuditEntry] = {}
        self._added = asyncio.Event()
        #: Held by whoever writes the first of those that wait, and removes them.
        self._writing = asyncio.Lock()

    # Any: gRPC's handlers, as in the guard.
    def wrap(self, method: Method, handle: Any) -> Any:
        """Returns the handler of a method, which notes its calls if the method is audited."""
        if not method.audited:
            return handle

        async def noting(request: Message, context: Any) -> Any:
            if getattr(request, "validate_only", False):
                return await handle(request, context)
            target, peer = _named(request, method.audited), caller_of(context.peer())
            ending = handle(request, context)
            # The handler may be done with the request early; for the call see `abort`.
            del request, context
            try:
                answer = await ending
            except asyncio.CancelledError:
                self._note(method, peer, target, CANCELLED)
                raise
            except Exception as error:
                reason = reason_of(error)
                if reason not in _NOT_NOTED and reason != ROLE_REQUIRED:
                    self._note(method, peer, target, reason)
                raise
            self._note(method, peer, target or _named(answer, method.audited), OK)
            return answer

        return noting

    def refused(self, method: Method, peer: str, error: Exception) -> None:
        """Notes a call, of whatever method, that was refused for want of a role."""
        if reason_of(error) == ROLE_REQUIRED:
            self._note(method, peer, "", ROLE_REQUIRED)

    def _note(self, method: Method, peer: str, target: str, outcome: str) -> None:
        caller = current_caller.get(None)
        trace_id = trace.get_current_span().get_span_context().trace_id
        entry = AuditEntry(
            current_service(),
            "" if caller is None else caller.user_id,
            peer,
            method.name,
            storable(target),
            outcome,
            trace.format_trace_id(trace_id) if trace_id else "",
        )
        if outcome != OK and not self._limit.admits(entry.kind, self._clock()):
            self._missed[entry.kind] = entry
        else:
            self._add(entry)

    def _add(self, entry: AuditEntry) -> None:
        _tell(entry)
        if self._store is None:
            return
        if len(self._waiting) < _MAX_WAITING:
            self._is_full = False
            self._waiting.append((new_job_id(), self._clock(), entry))
            self._added.set()
            return
        self._lost.add(1)
        if not self._is_full:
            self._is_full = True
            log.warning(
                "the audit cannot be written: %d entries wait, further ones are in the log alone",
                _MAX_WAITING,
                extra={"event": "audit_lost"},
            )

    def _add_missed(self, now: float) -> None:
        """Adds an entry for each kind of refusals that were too many, once their window is over."""
        for kind, count in self._limit.take_missed(now).items():
            self._add(replace(self._missed.pop(kind), target="", trace_id="", calls=count))

    async def run(self) -> None:
        """Writes entries until cancelled."""
        await repeat(_SECONDS, self._run_once)

    async def _run_once(self) -> int:
        """Writes some entries, or waits a while for one. Never returns 0: it has waited itself."""
        self._add_missed(self._clock())
        if not self._waiting:
            self._added.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await self._added.wait()
        await self._write_some()
        return 1

    async def _write_some(self) -> None:
        async with self._writing:
            some = list(islice(self._waiting, _MAX_ENTRIES))
            if self._store is None or not some:
                return
            now = self._clock()
            ids, times, entries = zip(*some, strict=True)
            await self._store.write(ids, [now - time for time in times], entries)
            # New ones are at the other end.
            for _ in some:
                self._waiting.popleft()

    async def flush(self) -> None:
        """Writes what is left, at the end; says how much could not be written."""
        self._add_missed(inf)
        try:
            while self._waiting:
                await self._write_some()
        except DatabaseFailure:
            self._lost.add(len(self._waiting))
            log.warning(
                "%d entries of the audit are in the log alone: the database does not take them",
                len(self._waiting),
                extra={"event": "audit_lost"},
            )


def _named(message: Message, path: str) -> str:
    """The text at a path of fields; empty where a message has no such field, or it is not set."""
    value: Any = message
    for name in path.split("."):
        value = getattr(value, name, "")
    return value if isinstance(value, str) else ""


def _tell(entry: AuditEntry) -> None:
    who = entry.identity or "somebody"
    user = f" for user {entry.user_id}" if entry.user_id else ""
    count = f" ({entry.calls} calls)" if entry.calls > 1 else ""
    log.info(
        "%s%s by %s%s from %s: %s%s",
        entry.method,
        f" {entry.target}" if entry.target else "",
        who,
        user,
        entry.peer,
        entry.outcome,
        count,
        extra={
            "event": "audit",
            "identity": entry.identity,
            "user_id": entry.user_id,
            "peer": entry.peer,
            "method": entry.method,
            "target": entry.target,
            "outcome": entry.outcome,
            "calls": entry.calls,
            **({"trace_id": entry.trace_id} if entry.trace_id else {}),
        },
    )
