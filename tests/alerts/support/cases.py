"""For each alert, what a Prometheus reads when it must fire, and what when it must not.

Values are in promtool's notation, one a minute: `0+5x20` is 0, 5, 10, …, 100; `_` is none.
"""

from typing import NamedTuple

Series = dict[str, str]


class Case(NamedTuple):
    """An alert, and what it makes of values."""

    alert: str
    #: With these it fires at the minute `at`, with these labels beside its severity.
    fires: Series
    labels: dict[str, str]
    at: int
    #: At this minute it does not yet; None where it fires at once.
    not_yet: int | None
    #: With each of these alone it does not fire at the minute `at`.
    calm: tuple[Series, ...]


_REPLICA = 'job="jobsvc", instance="a"'
_QUEUE = f'{_REPLICA}, queue="mail"'
_A = {"job": "jobsvc", "instance": "a"}
_MAIL = {"job": "jobsvc", "queue": "mail"}
#: For 20 minutes and more.
_UP = {f"up{{{_REPLICA}}}": "1x90", f"jobsvc_database_available{{{_REPLICA}}}": "1x90"}


def _gauge(name: str, values: str, labels: str = _REPLICA) -> Series:
    return {f"{name}{{{labels}}}": values}


def _queue(age: str, workers: int, paused: int) -> Series:
    """A queue, as two replicas tell of it; the second one knows only half."""
    return {
        **_gauge("jobsvc_queue_oldest_ready_age_seconds", age, _QUEUE),
        **_gauge("jobsvc_queue_workers", f"{workers}x90", _QUEUE),
        **_gauge("jobsvc_queue_paused", f"{paused}x90", _QUEUE),
        **_gauge(
            "jobsvc_queue_oldest_ready_age_seconds", "0x90", 'job="jobsvc", instance="b", queue="q"'
        ),
    }


def _waiting(ready: int, scheduled: int, bound: int) -> Series:
    return {
        **_gauge("jobsvc_queue_jobs", f"{ready}x9", f'{_QUEUE}, state="ready"'),
        **_gauge("jobsvc_queue_jobs", f"{scheduled}x9", f'{_QUEUE}, state="scheduled"'),
        **_gauge("jobsvc_queue_jobs", "1000x9", f'{_QUEUE}, state="processing"'),
        **_gauge("jobsvc_queue_max_waiting", f"{bound}x9", _QUEUE),
    }


def _ended(failed: str, completed: str) -> Series:
    return {
        **_UP,
        **_gauge("jobsvc_jobs_ended_total", failed, f'{_QUEUE}, state="FAILED", reason="INTERNAL"'),
        **_gauge("jobsvc_jobs_ended_total", completed, f'{_QUEUE}, state="COMPLETED", reason="OK"'),
    }


def _retried(retried: str, completed: str) -> Series:
    return {
        **_ended("0x40", completed),
        **_gauge("jobsvc_jobs_retried_total", retried, f'{_QUEUE}, reason="UNAVAILABLE"'),
    }


def _rescued(values: str) -> Series:
    return {
        **_UP,
        **_gauge("jobsvc_jobs_rescued_total", values, f'{_QUEUE}, reason="LEASE_EXPIRED"'),
    }


def _begun(up: str, uptime: int) -> Series:
    """A replica that Prometheus reads from some moment on."""
    return {**_gauge("up", up), **_gauge("process_uptime_seconds", f"_x17 {uptime}+60x20")}


def _refused(reason: str, values: str) -> Series:
    labels = f'{_REPLICA}, rpc_method="m", reason="{reason}"'
    return {**_UP, **_gauge("jobsvc_calls_refused_total", values, labels)}


def _buckets(name: str, fast: str, slow: str) -> Series:
    """A histogram: so many within a hundredth of a second, the others within one."""
    return {
        **_gauge(f"{name}_bucket", fast, f'{_REPLICA}, le="0.01"'),
        **_gauge(f"{name}_bucket", slow, f'{_REPLICA}, le="1.0"'),
        **_gauge(f"{name}_bucket", slow, f'{_REPLICA}, le="+Inf"'),
    }


def _of_process(process: str, series: Series) -> Series:
    """The series as one of several processes has them."""
    return {
        name if name.startswith("up{") else name.replace("}", f', process="{process}"}}'): values
        for name, values in series.items()
    }


def _duty(name: str, age: str, failures: str = "0x90") -> Series:
    labels = f'{_REPLICA}, duty="{name}"'
    aged = _gauge("jobsvc_duty_success_age_seconds", age, labels) if age else {}
    return {**_UP, **aged, **_gauge("jobsvc_duty_failures_total", failures, labels)}


def _with_database(name: str, values: str, available: int = 1) -> Series:
    return {
        **_gauge(name, values),
        **_gauge("jobsvc_database_available", f"{available}x90"),
        **_gauge("up", "1x90"),
    }


CASES = (
    Case(
        "JobsvcQueueWithoutWorker",
        _queue("0+60x9", 0, 0),
        _MAIL,
        4,
        2,
        (_queue("0+60x9", 1, 0), _queue("0+60x9", 0, 1), _queue("30x9", 0, 0)),
    ),
    Case(
        "JobsvcQueueBehind",
        _queue("0+60x30", 2, 0),
        _MAIL,
        17,
        12,
        (_queue("0+60x30", 0, 0), _queue("0+60x30", 2, 1), _queue("500x30", 2, 0)),
    ),
    Case(
        "JobsvcQueuePaused",
        _queue("0+60x90", 1, 1),
        _MAIL,
        75,
        50,
        (_queue("0x90", 1, 1), _queue("0+60x90", 1, 0)),
    ),
    Case(
        "JobsvcQueueNearlyFull",
        _waiting(60, 35, 100),
        _MAIL,
        4,
        1,
        (_waiting(60, 30, 100),),
    ),
    Case(
        "JobsvcJobsFail",
        _ended("0+1x40", "0+1x40"),
        _MAIL,
        20,
        3,
        (
            _ended("0+1x40", "0+2x40"),  # a third
            _ended("0x10 1x30", "0x40"),  # one
            _ended("50x40", "0+1x40"),  # long ago
        ),
    ),
    Case(
        # All of them in one go, with the first scrape of the series.
        "JobsvcJobsFail",
        _ended("_x16 200x20", "3x40"),
        _MAIL,
        20,
        15,
        (_ended("_x2 200x40", "3x40"),),
    ),
    Case(
        "JobsvcRetryStorm",
        _retried("0+10x40", "0+1x40"),
        _MAIL,
        25,
        4,
        (_retried("0+10x40", "0+6x40"), _retried("0+2x40", "0x40"), _retried("90x40", "0x40")),
    ),
    Case(
        "JobsvcLeasesRescued",
        _rescued("_x17 8x20"),
        _MAIL,
        20,
        16,
        (
            _rescued("_x17 4x20"),
            _rescued("8x40"),
            # Prometheus has only begun to read a replica that has run for long.
            {**_rescued("_x17 8x20"), **_begun("_x17 1x20", 100_000)},
        ),
    ),
    Case(
        # A new replica, which Prometheus did not know before.
        "JobsvcLeasesRescued",
        {**_rescued("_x17 8x20"), **_begun("_x17 1x20", 100)},
        _MAIL,
        20,
        16,
        (_rescued("_"),),
    ),
    Case(
        "JobsvcCallsRefused",
        _refused("QUEUE_FULL", "0+3x40"),
        {"job": "jobsvc", "reason": "QUEUE_FULL"},
        20,
        5,
        (_refused("QUEUE_FULL", "0+1x40"), _refused("JOB_NOT_FOUND", "0+90x40")),
    ),
    Case(
        "JobsvcCallsWaitForRoom",
        _gauge("jobsvc_calls_waiting", "3x9", f'{_REPLICA}, reason="room"'),
        {**_A, "reason": "room"},
        6,
        3,
        (
            _gauge("jobsvc_calls_waiting", "3x9", f'{_REPLICA}, reason="refusal"'),
            _gauge("jobsvc_calls_waiting", "3 3 0 3 3 0 3", f'{_REPLICA}, reason="room"'),
        ),
    ),
    Case(
        "JobsvcCallsUnauthorised",
        _refused("CREDENTIALS_INVALID", "0+3x40"),
        {"job": "jobsvc", "reason": "CREDENTIALS_INVALID"},
        20,
        5,
        (_refused("ROLE_REQUIRED", "0+1x40"),),
    ),
    Case(
        "JobsvcDefect",
        _refused("INTERNAL_ERROR", "_x17 1x20"),
        {"job": "jobsvc", "reason": "INTERNAL_ERROR"},
        19,
        16,
        (_refused("INTERNAL_ERROR", "1x40"), _refused("INVALID_REQUEST", "0+9x40")),
    ),
    Case(
        "JobsvcDatabaseUnreachable",
        {**_gauge("up", "1x9"), **_gauge("jobsvc_database_available", "1 0x9")},
        _A,
        3,
        1,
        (
            {**_gauge("up", "1x9"), **_gauge("jobsvc_database_available", "1x9")},
            {**_gauge("up", "0x9")},
        ),
    ),
    Case(
        # A server that waits for its database at the start.
        "JobsvcDatabaseUnreachable",
        _gauge("up", "1x9"),
        _A,
        3,
        0,
        ({**_gauge("up", "1x9"), **_gauge("jobsvc_database_available", "_ _ 1x9")},),
    ),
    Case(
        "JobsvcDatabaseFails",
        _gauge("jobsvc_database_failures_total", "0+2x20", f'{_REPLICA}, error_type="53100"'),
        {"job": "jobsvc", "error_type": "53100"},
        12,
        4,
        (_gauge("jobsvc_database_failures_total", "7x20", f'{_REPLICA}, error_type="53100"'),),
    ),
    Case(
        "JobsvcPoolExhausted",
        _gauge("jobsvc_database_connections_waiting", "9x9"),
        _A,
        6,
        3,
        (_gauge("jobsvc_database_connections_waiting", "9 9 0 9 9 0 9"),),
    ),
    Case(
        "JobsvcDatabaseSlow",
        _buckets("jobsvc_database_statement_duration_seconds", "0+9x30", "0+10x30"),
        {"job": "jobsvc"},
        20,
        9,
        (_buckets("jobsvc_database_statement_duration_seconds", "0+99x30", "0+100x30"),),
    ),
    Case(
        "JobsvcHorizonHeld",
        _gauge("jobsvc_database_horizon_age_seconds", "0+60x40"),
        {"job": "jobsvc"},
        25,
        18,
        (_gauge("jobsvc_database_horizon_age_seconds", "300x40"),),
    ),
    Case(
        "JobsvcHintsSilent",
        _with_database("jobsvc_hints_listening", "0x9"),
        _A,
        6,
        3,
        (
            _with_database("jobsvc_hints_listening", "1x9"),
            _with_database("jobsvc_hints_listening", "0x9", available=0),
        ),
    ),
    Case(
        "JobsvcHintsLate",
        {**_gauge("jobsvc_hints_lag_seconds", "3x9"), **_gauge("jobsvc_hints_listening", "1x9")},
        _A,
        6,
        3,
        (
            {
                **_gauge("jobsvc_hints_lag_seconds", "3x9"),
                **_gauge("jobsvc_hints_listening", "0x9"),
            },
            {
                **_gauge("jobsvc_hints_lag_seconds", "0.1x9"),
                **_gauge("jobsvc_hints_listening", "1x9"),
            },
        ),
    ),
    Case(
        "JobsvcDutyLate",
        _duty("rescue", "0+60x20"),
        {**_A, "duty": "rescue"},
        6,
        3,
        (
            _duty("rescue", "1x20"),
            _duty("prune schemas", "0+60x20"),
            {**_duty("rescue", "0+60x20"), **_gauge("jobsvc_database_available", "0x90")},
        ),
    ),
    Case(
        # One that has never succeeded.
        "JobsvcDutyLate",
        _duty("vacuum", "", "0+1x20"),
        {**_A, "duty": "vacuum"},
        6,
        1,
        (_duty("vacuum", "1x20", "0+1x20"), _duty("vacuum", "", "5x20")),
    ),
    Case(
        # In one of several processes; in the other it runs.
        "JobsvcDutyLate",
        _of_process("1", _duty("rescue", "0+60x20")) | _of_process("0", _duty("rescue", "1x20")),
        {**_A, "process": "1", "duty": "rescue"},
        6,
        3,
        (_of_process("1", _duty("rescue", "1x20")) | _of_process("0", _duty("rescue", "1x20")),),
    ),
    Case(
        "JobsvcQueueStatisticsStale",
        _with_database("jobsvc_queue_statistics_age_seconds", "0+60x20"),
        _A,
        13,
        8,
        (
            _with_database("jobsvc_queue_statistics_age_seconds", "100x20"),
            _with_database("jobsvc_queue_statistics_age_seconds", "0+60x20", available=0),
        ),
    ),
    Case(
        "JobsvcAuditLost",
        {**_UP, **_gauge("jobsvc_audit_lost_total", "_x17 5x20")},
        {"job": "jobsvc"},
        20,
        16,
        ({**_UP, **_gauge("jobsvc_audit_lost_total", "5x40")},),
    ),
    Case(
        "JobsvcEmbeddedDiskLow",
        {
            **_gauge("jobsvc_embedded_disk_free_bytes", "50-10x9"),
            **_gauge("jobsvc_embedded_disk_size_bytes", "100x9"),
        },
        _A,
        6,
        4,
        (
            {
                **_gauge("jobsvc_embedded_disk_free_bytes", "20x9"),
                **_gauge("jobsvc_embedded_disk_size_bytes", "100x9"),
            },
        ),
    ),
    Case(
        "JobsvcAway",
        _gauge("up", "1 0x9"),
        {},
        3,
        1,
        ({**_gauge("up", "0x9"), **_gauge("up", "1x9", 'job="jobsvc", instance="b"')},),
    ),
    Case("JobsvcAway", {}, {}, 3, 0, (_gauge("up", "1x9"),)),
    Case(
        "JobsvcReplicaDown",
        {**_gauge("up", "0x9"), **_gauge("up", "1x9", 'job="jobsvc", instance="b"')},
        _A,
        6,
        3,
        (_gauge("up", "1x9"), _gauge("up", "0 0 1 0 0 1 0")),
    ),
    Case(
        "JobsvcRestarts",
        _gauge("process_uptime_seconds", "60 10 60 10 60 10 60 70 80"),
        _A,
        8,
        4,
        (
            _gauge("process_uptime_seconds", "60 10 60 10 60 70 80 90 99"),
            _gauge("process_uptime_seconds", "9 8 7 6 5 4 3 2 1", 'job="other"'),
        ),
    ),
    Case(
        "JobsvcLoopLate",
        _buckets("jobsvc_loop_lag_seconds", "0+9x30", "0+10x30"),
        _A,
        20,
        9,
        (_buckets("jobsvc_loop_lag_seconds", "0+999x30", "0+1000x30"),),
    ),
    Case(
        "JobsvcCertificateExpires",
        _gauge("jobsvc_tls_certificate_remaining_seconds", "604830-60x30"),
        _A,
        12,
        5,
        (_gauge("jobsvc_tls_certificate_remaining_seconds", "700000x30"),),
    ),
    Case(
        "JobsvcWorkerBlocked",
        _gauge("jobsvc_worker_loop_silence_seconds", "0+60x9", 'instance="w"'),
        {"instance": "w"},
        3,
        1,
        (_gauge("jobsvc_worker_loop_silence_seconds", "2x9", 'instance="w"'),),
    ),
    Case(
        "JobsvcWorkerDisconnected",
        _gauge("jobsvc_worker_connected", "1 0x9", 'instance="w"'),
        {"instance": "w"},
        7,
        5,
        (_gauge("jobsvc_worker_connected", "1x9", 'instance="w"'),),
    ),
)
