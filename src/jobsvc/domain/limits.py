"""Bounds of the contract that several files need; proto/jobsvc/v1 states them."""

#: Violations that one refusal names (`BadRequest`).
MAX_VIOLATIONS = 20
#: Length of a lease, and of an extension.
MIN_LEASE_SECONDS, MAX_LEASE_SECONDS = 5, 3600
#: Longest attempt, and longest delay of a retry or a release: a week.
MAX_ATTEMPT_SECONDS = MAX_DELAY_SECONDS = 604_800
#: Longest duration of a field for which the contract names no bound: 100 years.
MAX_SECONDS = 100 * 365.25 * 86_400
#: Message of a `JobError`, and each value of its metadata.
MAX_ERROR_CHARACTERS = 4096
#: Stack trace of a `JobError`.
MAX_TRACE_CHARACTERS = 16_384
#: Attempts that a retry grants on top of those made.
MAX_EXTRA_ATTEMPTS = 100
#: Message of a progress or a cancellation, and reason of a release.
MAX_NOTE_CHARACTERS = 500
#: Entries of a map: labels, and the metadata of a `JobError`.
MAX_ENTRIES = 32
#: Queues of one worker, leases that it may hold at a time, and those that it names when it
#: subscribes anew.
MAX_WORKER_QUEUES = 64
MAX_WINDOW = MAX_HELD_LEASES = 10_000
