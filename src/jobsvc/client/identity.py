"""Builds the metadata that identify the caller."""

from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.bearer_token import Token, authorization, check_token
from jobsvc.domain.owner import CALLER_ID, CALLER_ID_RULE


# No repr: it would show secrets.
@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """The calling service, the session and user it acts for, and further metadata."""

    session_id: str | None
    user_id: str | None
    token: Token | None
    metadata: Sequence[tuple[str, str]]

    def __post_init__(self) -> None:
        """Checks what gRPC could not send, or what would mean nobody where somebody was meant.

        Raises:
            ValueError: an id or a token is empty or out of its alphabet. The text does not show it.
        """
        for name, value in (("session_id", self.session_id), ("user_id", self.user_id)):
            if value is not None and not CALLER_ID.fullmatch(value):
                raise ValueError(f"{name} {CALLER_ID_RULE}; None stands for none")
        if isinstance(self.token, str):
            check_token(self.token)

    def headers(self, span: trace.Span) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of one call, made within `span`."""
        headers = list(self.metadata)
        if self.session_id is not None:
            headers.append(("x-session-id", self.session_id))
        if self.user_id is not None:
            headers.append(("x-user-id", self.user_id))
        if self.token is not None:
            headers += authorization(self.token)
        traceparent, tracestate = telemetry.headers(span)
        if traceparent:
            headers.append(("traceparent", traceparent))
        if tracestate:
            headers.append(("tracestate", tracestate))
        return tuple(headers)
