"""Requests for jobs into the domain."""

import hashlib
import re

from jobsvc.api.convert.payloads import payload_text
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import read_run_policy
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.payload import canonical
from jobsvc.v1 import job_pb2 as pb
from jobsvc.v1 import job_service_pb2 as service_pb

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")

#: Wordings of options that are known to be right; beyond, they are learnt anew. One that is longer
#: than all that the contract knows is not kept.
_MAX_KNOWN = 256
_MAX_WORDING_BYTES = 64 * 1024


class RequestReader:
    """Reads requests for jobs. Options that many of them share are checked once."""

    def __init__(self, most_payload_bytes: int) -> None:
        self._most_payload_bytes = most_payload_bytes
        self._known: dict[bytes, RequestedOptions] = {}
        #: The spec before, and its wording.
        self._spec: pb.JobSpec | None = None
        self._wording = b""

    def read(self, request: service_pb.CreateJobRequest, index: int | None = None) -> JobRequest:
        """A checked request for a job; `index` is its place in a batch. Empties the message.

        Raises:
            InvalidRequest: with every field that breaks a rule of the contract.
            PayloadRejected: the input is no JSON object as the contract wants it.
            PayloadTooLarge: the input is larger than `most_payload_bytes`.
        """
        try:
            return self._read(request, index)
        except InvalidRequest as error:
            if index is None:
                raise
            raise error.at(f"requests[{index}].", index=str(index)) from None

    def _read(self, request: service_pb.CreateJobRequest, index: int | None) -> JobRequest:
        if not request.HasField("spec"):
            raise InvalidRequest([Violation("spec", "is required")])
        spec = request.spec
        # What is the job's own; the rest, as it is worded, is what others may ask for too.
        given, unique_key, request_id = spec.input, spec.unique_key, request.request_id
        spec.ClearField("input")
        if unique_key:
            spec.ClearField("unique_key")
        if request_id or spec != self._spec:
            self._wording = spec.SerializeToString(deterministic=True)
            # A copy: the request as a whole may be large.
            self._spec = pb.JobSpec.FromString(self._wording)
        options = self._known.get(self._wording)
        if options is None or unique_key or request_id:
            checks = RequestChecks()
            if options is None:
                options = _options(checks, spec)
            checks.text("spec.unique_key", unique_key, 255)
            if request_id:
                checks.uuid("request_id", request_id)
            checks.raise_if_violated()
            self._keep(options)
        text, payload = payload_text(given, "spec.input", self._most_payload_bytes)
        return JobRequest(
            options=options,
            input=text,
            payload=payload,
            unique_key=unique_key or None,
            request_id=request_id or None,
            request_digest=_digest(self._wording, unique_key, payload) if request_id else None,
            index=index,
        )

    def _keep(self, options: RequestedOptions) -> None:
        if self._wording in self._known:
            return
        if len(self._wording) > _MAX_WORDING_BYTES:
            self._spec = None
            return
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[self._wording] = options


def _options(checks: RequestChecks, spec: pb.JobSpec) -> RequestedOptions:
    """Whatever is not set needs no look: most requests set little."""
    checks.queue("spec.queue", spec.queue)
    checks.number("spec.priority", spec.priority, -100, 100)
    schedule_time = (
        checks.time("spec.schedule_time", spec.schedule_time)
        if spec.HasField("schedule_time")
        else None
    )
    expire_time, ttl = None, None
    if spec.HasField("expire_time"):
        expire_time = checks.time("spec.expire_time", spec.expire_time)
        if schedule_time is not None and expire_time <= schedule_time:
            checks.add("spec.expire_time", "must be later than spec.schedule_time")
    elif spec.HasField("ttl"):
        ttl = checks.seconds("spec.ttl", spec.ttl)
        if ttl == 0:
            checks.add("spec.ttl", "must be above 0")
    on_conflict = spec.unique_conflict_policy
    if on_conflict:
        checks.enum("spec.unique_conflict_policy", on_conflict, pb.UniqueConflictPolicy.values())
    labels = checks.mapping("spec.labels", spec.labels, 32, _LABEL_KEY) if spec.labels else {}
    return RequestedOptions(
        queue=spec.queue,
        priority=spec.priority,
        schedule_time=schedule_time,
        expire_time=expire_time,
        ttl_seconds=ttl,
        run_policy=read_run_policy(checks, "spec", spec),
        fail_if_taken=on_conflict == pb.UNIQUE_CONFLICT_POLICY_FAIL,
        labels=labels,
    )


def _digest(wording: bytes, unique_key: str, payload: dict[str, object]) -> bytes:
    """Equal for equal specs, whichever way their input is spelled."""
    digest = hashlib.blake2b(repr((wording, unique_key)).encode(), digest_size=16)
    digest.update(canonical(payload))
    return digest.digest()
