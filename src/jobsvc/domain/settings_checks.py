"""Whether the settings of a server fit each other, its files and its database. Pure.

What a server does not start with is not here: `Settings` refuses it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobsvc.domain.certificate import Validity
from jobsvc.domain.database_checks import ServerFacts
from jobsvc.domain.finding import Check, Finding, finding, finding_of
from jobsvc.settings import Settings

#: Who renews certificates does so long before this: a third of their life is usual.
_ENDS_SOON = timedelta(days=14)
_SOON_SHARE = 5


@dataclass(frozen=True, slots=True)
class Retries:
    """The first and the longest wait for a retry in a queue, some of which the server gives."""

    queue: str
    initial_seconds: float
    max_seconds: float


def contradictions(settings: Settings) -> Iterator[str]:
    """Settings that make each other pointless."""
    yield from _above(settings, "initial_backoff_seconds", "max_backoff_seconds")
    yield from _above(settings, "acknowledge_seconds", "lease_seconds")
    yield from _above(settings, "rescue_interval_seconds", "lease_seconds")
    yield from _above(settings, "poll_interval_seconds", "lease_seconds")


def _above(settings: Settings, name: str, limit: str) -> Iterator[str]:
    value, most = getattr(settings, name), getattr(settings, limit)
    if value > most:
        yield f"JOBSVC_{name.upper()} is {value:g}, above JOBSVC_{limit.upper()} ({most:g})"


def queue_contradictions(queues: Sequence[Retries]) -> Iterator[str]:
    """Queues whose first retry would wait longer than any may."""
    for queue in queues:
        yield (
            f"queue {queue.queue}: initial_backoff is {queue.initial_seconds:g} s, above"
            f" max_backoff ({queue.max_seconds:g} s)"
        )


def database_contradictions(settings: Settings, facts: ServerFacts) -> Iterator[str]:
    """Settings that the database does not let be."""
    if facts.idle_session_timeout:
        yield (
            f"idle_session_timeout of the role is {facts.idle_session_timeout.total_seconds():g} s,"
            " and ends the connection that listens: ALTER ROLE … SET idle_session_timeout = 0"
        )
    if 0 < facts.transaction_timeout.total_seconds() < settings.statement_seconds:
        yield (
            f"transaction_timeout of the role is {facts.transaction_timeout.total_seconds():g} s,"
            f" below JOBSVC_STATEMENT_SECONDS ({settings.statement_seconds:g})"
        )


def check_contradictions(found: Iterable[str]) -> Iterator[Finding]:
    """All of them as one finding."""
    if names := list(found):
        yield finding_of(
            Check.SETTINGS_CONTRADICT,
            "{n} of the settings contradict others: change one of the two",
            names,
        )


def check_names(complaint: str) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    if complaint:
        yield finding(
            Check.SETTING_UNKNOWN,
            f"{complaint}: a server passes over what it does not know; correct the name, or unset"
            " it",
        )


def check_certificates(
    name: str, dates: Sequence[Validity], now: datetime, is_bundle: bool = False
) -> Iterator[Finding]:
    """Certificates that have ended, or will soon. Each of a chain must hold; of a bundle of
    authorities, one. `name` says whose they are."""
    if not dates:
        return
    last = max(dates, key=_end) if is_bundle else min(dates, key=_end)
    renew = "renew it, and look why nobody did (docs/operations/security.md)"
    if now >= last.end:
        yield finding(
            Check.CERTIFICATE_INVALID,
            f"{name} ended {_span(now - last.end)} ago, so nobody can connect: {renew}",
        )
        return
    begin = min(d.begin for d in dates) if is_bundle else max(d.begin for d in dates)
    if now < begin:
        yield finding(
            Check.CERTIFICATE_INVALID,
            f"{name} begins in {_span(begin - now)}, so nobody can connect before: look at the"
            " clock of this machine, and of who signed it",
        )
    elif last.end - now < min(_ENDS_SOON, (last.end - last.begin) / _SOON_SHARE):
        yield finding(
            Check.CERTIFICATE_ENDS,
            f"{name} ends in {_span(last.end - now)}, and nobody can connect from then on: {renew}",
        )


def _end(validity: Validity) -> datetime:
    return validity.end


def _span(length: timedelta) -> str:
    hours = length / timedelta(hours=1)
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
