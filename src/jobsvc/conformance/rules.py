"""The files in which the contract states its rules."""

from jobsvc.conformance.point import Rule


def worker_rule(place: str, words: str) -> Rule:
    """A comment of worker_service.proto."""
    return Rule("proto/jobsvc/v1/worker_service.proto", place, words)


def job_service_rule(place: str, words: str) -> Rule:
    """A comment of job_service.proto."""
    return Rule("proto/jobsvc/v1/job_service.proto", place, words)


def job_rule(place: str, words: str) -> Rule:
    """A comment of job.proto."""
    return Rule("proto/jobsvc/v1/job.proto", place, words)


def payload_rule(place: str, words: str) -> Rule:
    """A comment of payload.proto."""
    return Rule("proto/jobsvc/v1/payload.proto", place, words)


def error_rule(place: str, words: str) -> Rule:
    """The page about errors."""
    return Rule("docs/reference/errors.md", place, words)


#: What is added later must not disturb those who do not know it.
UNKNOWN_FIELDS = Rule(
    "docs/compatibility.md",
    "What may be added",
    "So ignore fields and frames that you do not know",
)
#: The word of the server counts, not that of a proxy.
CODE_IN_DETAILS = job_service_rule(
    "JobService",
    "With it the code in the details counts, since a proxy may change the other one.",
)
#: A refusal for a while.
RETRY_INFO = job_service_rule(
    "JobService",
    "An error with a `RetryInfo` passes: make the same call again after its delay.",
)
