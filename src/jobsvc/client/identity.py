"""Builds the metadata that identify the caller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opentelemetry import trace

from jobsvc import telemetry


# No repr: it would show secrets.
@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """The calling service, the session and user it acts for, and further metadata."""

    session_id: str | None
    user_id: str | None
    token: str | Callable[[], str] | None
    metadata: Sequence[tuple[str, str]]

    def headers(self, span: trace.Span) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of one call, made within `span`."""
        headers = list(self.metadata)
        if self.session_id:
            headers.append(("x-session-id", self.session_id))
        if self.user_id:
            headers.append(("x-user-id", self.user_id))
        if self.token:
            token = self.token if isinstance(self.token, str) else self.token()
            headers.append(("authorization", f"Bearer {token}"))
        traceparent, tracestate = telemetry.headers(span)
        if traceparent:
            headers.append(("traceparent", traceparent))
        if tracestate:
            headers.append(("tracestate", tracestate))
        return tuple(headers)
