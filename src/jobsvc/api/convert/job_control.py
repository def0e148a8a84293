"""Reads the change of a job that a call asks for."""

from collections.abc import Sequence

import msgspec
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.api.convert.job_requests import LABEL_KEY
from jobsvc.api.convert.payloads import LargeRead, check_size, payload_text
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.job_control import CHANGEABLE, JobChange
from jobsvc.domain.limits import MAX_ENTRIES
from jobsvc.v1 import job_pb2
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
    change = read_change(checks, spec, request.update_mask, CHANGEABLE)
    checks.raise_if_violated()
    if "input" in change.fields and spec.HasField("input"):
        if read is None:
            check_size(spec.input, "spec.input", max_payload_bytes)
        text, payload = payload_text(spec.input, "spec.input", max_payload_bytes, read)
        change = msgspec.structs.replace(change, input=text, payload=payload)
    return change


def read_change(
    checks: RequestChecks,
    spec: job_pb2.JobSpec,
    update_mask: FieldMask,
    changeable: Sequence[str],
    prefix: str = "",
) -> JobChange:
    """Checks the fields `spec` and `update_mask` at the path `prefix`, and returns the change but
    for an input."""
    named = set(update_mask.paths) or {field.name for field, _ in spec.ListFields()} & set(
        changeable
    )
    if "*" in named:
        named = set(changeable)
    mask, spec_path = f"{prefix}update_mask", f"{prefix}spec"
    for path in sorted(named - set(changeable)):
        checks.add(mask, f"{path[:80]!r} cannot be changed")
    if not named:
        checks.add(mask, f"names no field; {', '.join(changeable)} can be changed")
    priority, schedule_time, expire_time, labels = 0, None, None, {}
    if "priority" in named:
        priority = checks.number(f"{spec_path}.priority", spec.priority, -100, 100)
    if "schedule_time" in named and spec.HasField("schedule_time"):
        schedule_time = checks.set_time(f"{spec_path}.schedule_time", spec.schedule_time)
    if "expire_time" in named and spec.HasField("expire_time"):
        expire_time = checks.set_time(f"{spec_path}.expire_time", spec.expire_time)
    if "labels" in named:
        labels = checks.mapping(f"{spec_path}.labels", spec.labels, MAX_ENTRIES, LABEL_KEY)
    return JobChange(frozenset(named), priority, schedule_time, expire_time, labels)
