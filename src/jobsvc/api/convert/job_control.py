"""Reads the change of a job that a call asks for."""

from typing import Any

from jobsvc.api.convert.job_requests import LABEL_KEY
from jobsvc.api.convert.payloads import LargeRead, check_size, payload_text
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.job_control import CHANGEABLE, JobChange
from jobsvc.domain.limits import MAX_ENTRIES
from jobsvc.v1 import job_service_pb2 as pb

#: Of an etag; a longer one is nobody's.
_MAX_ETAG = 128


def check_target(checks: RequestChecks, job_id: str, etag: str) -> None:
    """Checks which job a call is about, and its etag."""
    checks.uuid("job_id", job_id)
    checks.text("etag", etag, _MAX_ETAG)


def job_change(
    request: pb.UpdateJobRequest, max_payload_bytes: int, read: LargeRead | None = None
) -> JobChange:
    """The change that a call asks for. `read` is its input if that is a large payload.

    Raises:
        LargePayload: `read` is missing.
        InvalidRequest: with every field that breaks a rule of the contract.
        PayloadRejected, PayloadTooLarge: as `payload_text`.
    """
    checks, spec = RequestChecks(), request.spec
    check_target(checks, request.job_id, request.etag)
    named = set(request.update_mask.paths) or {field.name for field, _ in spec.ListFields()} & set(
        CHANGEABLE
    )
    if "*" in named:
        named = set(CHANGEABLE)
    for path in sorted(named - set(CHANGEABLE)):
        checks.add("update_mask", f"{path[:80]!r} cannot be changed")
    if not named:
        checks.add("update_mask", f"names no field; {', '.join(CHANGEABLE)} can be changed")
    priority, schedule_time, expire_time, labels = 0, None, None, {}
    if "priority" in named:
        priority = checks.number("spec.priority", spec.priority, -100, 100)
    if "schedule_time" in named and spec.HasField("schedule_time"):
        schedule_time = checks.set_time("spec.schedule_time", spec.schedule_time)
    if "expire_time" in named and spec.HasField("expire_time"):
        expire_time = checks.set_time("spec.expire_time", spec.expire_time)
    if "labels" in named:
        labels = checks.mapping("spec.labels", spec.labels, MAX_ENTRIES, LABEL_KEY)
    checks.raise_if_violated()
    text: str | None = None
    payload: dict[str, Any] = {}
    if "input" in named and spec.HasField("input"):
        if read is None:
            check_size(spec.input, "spec.input", max_payload_bytes)
        text, payload = payload_text(spec.input, "spec.input", max_payload_bytes, read)
    return JobChange(frozenset(named), priority, schedule_time, expire_time, labels, text, payload)
