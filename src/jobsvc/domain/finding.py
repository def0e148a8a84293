"""What the doctor finds: each finding is one line that says what to do. Pure."""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from jobsvc.domain.inconsistency import Inconsistency

_MAX_NAMES = 5


class Question(StrEnum):
    """The questions that every finding is an answer to."""

    FLOWING = "is work flowing?"
    SUCCEEDING = "are jobs succeeding?"
    TRUSTED = "can the numbers be trusted?"


class Severity(StrEnum):
    """How bad it is: only what is wrong counts for the exit code."""

    WRONG = "wrong"
    WARNING = "warning"


class Check(StrEnum):
    """What is looked at, beside rows that contradict each other (`inconsistency.Kind`)."""

    NOT_READY = "not_ready"
    NOT_SERVING = "not_serving"
    NO_SERVER = "no_server"
    SETTINGS_CONTRADICT = "settings_contradict"
    SETTING_UNKNOWN = "setting_unknown"
    FILE_UNUSABLE = "file_unusable"
    CERTIFICATE_INVALID = "certificate_invalid"
    CERTIFICATE_ENDS = "certificate_ends"
    QUEUE_WITHOUT_WORKER = "queue_without_worker"
    QUEUE_PAUSED = "queue_paused"
    QUEUE_BEHIND = "queue_behind"
    QUEUE_FULL = "queue_full"
    VERSIONS_DIFFER = "versions_differ"
    LEASES_OVERDUE = "leases_overdue"
    EXPIRIES_OVERDUE = "expiries_overdue"
    PURGES_OVERDUE = "purges_overdue"
    READ_ONLY = "read_only"
    LOCKED = "locked"
    CONNECTIONS_SCARCE = "connections_scarce"
    TRANSACTION_IDS = "transaction_ids"
    NOTIFICATIONS_UNHEARD = "notifications_unheard"
    NOTIFICATIONS_FULL = "notifications_full"
    POOLER = "pooler"
    POOLER_SETTING = "pooler_setting"
    HORIZON_HELD = "horizon_held"
    AUTOVACUUM_OFF = "autovacuum_off"
    VACUUM_BEHIND = "vacuum_behind"
    BLOATED = "bloated"
    WAL_KEPT = "wal_kept"
    DISK_LOW = "disk_low"
    SCHEMA_LACKS = "schema_lacks"
    SCHEMA_DIFFERS = "schema_differs"
    OPTIONS_DIFFER = "options_differ"
    SCHEMA_ADDS = "schema_adds"
    JOBS_FAIL = "jobs_fail"
    NOT_DURABLE = "not_durable"
    COMMIT_NOT_AWAITED = "commit_not_awaited"
    CLOCK_DIFFERS = "clock_differs"
    COUNTS_OFF = "counts_off"
    ROWS_NOT_COMPARED = "rows_not_compared"


_FLOWING, _SUCCEEDING, _TRUSTED = Question
_WRONG, _WARNING = Severity
#: Of each check, what it is an answer to, and how bad it is.
CHECKS: dict[Check, tuple[Question, Severity]] = {
    Check.NOT_READY: (_FLOWING, _WRONG),
    Check.NOT_SERVING: (_FLOWING, _WRONG),
    Check.NO_SERVER: (_FLOWING, _WRONG),
    Check.SETTINGS_CONTRADICT: (_FLOWING, _WARNING),
    Check.SETTING_UNKNOWN: (_FLOWING, _WARNING),
    Check.FILE_UNUSABLE: (_FLOWING, _WRONG),
    Check.CERTIFICATE_INVALID: (_FLOWING, _WRONG),
    Check.CERTIFICATE_ENDS: (_FLOWING, _WARNING),
    Check.QUEUE_WITHOUT_WORKER: (_FLOWING, _WRONG),
    Check.QUEUE_PAUSED: (_FLOWING, _WARNING),
    Check.QUEUE_BEHIND: (_FLOWING, _WARNING),
    Check.QUEUE_FULL: (_FLOWING, _WARNING),
    Check.VERSIONS_DIFFER: (_FLOWING, _WARNING),
    Check.LEASES_OVERDUE: (_FLOWING, _WRONG),
    Check.EXPIRIES_OVERDUE: (_FLOWING, _WRONG),
    Check.PURGES_OVERDUE: (_FLOWING, _WARNING),
    Check.READ_ONLY: (_FLOWING, _WRONG),
    Check.LOCKED: (_FLOWING, _WRONG),
    Check.CONNECTIONS_SCARCE: (_FLOWING, _WARNING),
    Check.TRANSACTION_IDS: (_FLOWING, _WRONG),
    Check.NOTIFICATIONS_UNHEARD: (_FLOWING, _WRONG),
    Check.NOTIFICATIONS_FULL: (_FLOWING, _WRONG),
    Check.POOLER: (_FLOWING, _WARNING),
    Check.POOLER_SETTING: (_FLOWING, _WRONG),
    Check.HORIZON_HELD: (_FLOWING, _WARNING),
    Check.AUTOVACUUM_OFF: (_FLOWING, _WRONG),
    Check.VACUUM_BEHIND: (_FLOWING, _WARNING),
    Check.BLOATED: (_FLOWING, _WARNING),
    Check.WAL_KEPT: (_FLOWING, _WARNING),
    Check.DISK_LOW: (_FLOWING, _WRONG),
    Check.SCHEMA_LACKS: (_FLOWING, _WRONG),
    Check.SCHEMA_DIFFERS: (_FLOWING, _WRONG),
    Check.OPTIONS_DIFFER: (_FLOWING, _WARNING),
    Check.SCHEMA_ADDS: (_FLOWING, _WARNING),
    Check.JOBS_FAIL: (_SUCCEEDING, _WARNING),
    Check.NOT_DURABLE: (_TRUSTED, _WRONG),
    Check.COMMIT_NOT_AWAITED: (_TRUSTED, _WARNING),
    Check.CLOCK_DIFFERS: (_TRUSTED, _WARNING),
    Check.COUNTS_OFF: (_TRUSTED, _WARNING),
    Check.ROWS_NOT_COMPARED: (_TRUSTED, _WARNING),
}


class Finding(NamedTuple):
    """One thing that is wrong, or may be."""

    #: A `Check`, or the kind of an inconsistency.
    kind: str
    question: Question
    severity: Severity
    #: What it is, what follows, and what to do.
    text: str
    #: Of queues, jobs, sessions or tables; 1 for what there is one of.
    number: int = 1
    #: The first ones.
    names: tuple[str, ...] = ()


def finding(check: Check, text: str) -> Finding:
    """Returns a finding about what there is one of."""
    return Finding(check, *CHECKS[check], text)


def finding_of(check: Check, text: str, names: Sequence[str]) -> Finding:
    """Returns a finding about several of a kind; the text begins with their number, at `{n}`, and
    ends with the first of them."""
    shown = tuple(names[:_MAX_NAMES])
    more = len(names) - len(shown)
    tail = f" ({'; '.join(shown)}{f'; and {more} more' if more else ''})"
    return Finding(
        check, *CHECKS[check], text.format(n=f"{len(names):,}") + tail, len(names), shown
    )


def contradiction(found: Inconsistency) -> Finding:
    """Returns rows that contradict each other as a finding."""
    return Finding(found.kind, _TRUSTED, _WRONG, found.sentence, found.number, found.names)


def is_wrong(findings: Iterable[Finding]) -> bool:
    """Whether any of it is wrong, not only worth a warning."""
    return any(one.severity is Severity.WRONG for one in findings)


def answers(findings: Collection[Finding]) -> dict[Question, str]:
    """Returns `yes`, `no`, or `yes, but see the warnings` for each question."""
    found = {q: [one for one in findings if one.question is q] for q in Question}
    return {
        question: "no" if is_wrong(about) else "yes, but see the warnings" if about else "yes"
        for question, about in found.items()
    }
