"""Reads requests for jobs into the domain."""

import hashlib
import re

from jobsvc.api.convert.payloads import LargeRead, check_size, payload_text, read_large
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import read_run_policy
from jobsvc.domain.canonical import canonical
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.limits import MAX_ENTRIES
from jobsvc.v1 import job_pb2 as pb
from jobsvc.v1 import job_service_pb2 as service_pb

#: Rule for the key of a label.
LABEL_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
#: Encoded specs whose options are kept; with more, all are forgotten. Longer ones than these bytes,
#: which only unknown fields can make, are not kept.
_MAX_KNOWN = 256
_MAX_SPEC_BYTES = 64 * 1024


class RequestReader:
    """Reads requests for jobs. Options that many of them share are checked once."""

    def __init__(self, max_payload_bytes: int) -> None:
        self._max_payload_bytes = max_payload_bytes
        self._known: dict[bytes, RequestedOptions] = {}
        #: The last spec, without what is the job's own, its encoding, and how a digest of one
        #: without a unique key begins.
        self._spec: pb.JobSpec | None = None
        self._encoded = b""
        self._digest = _digest(b"", "")

    def read(
        self,
        request: service_pb.CreateJobRequest,
        batch_index: int | None = None,
        large: LargeRead | None = None,
    ) -> JobRequest:
        """Empties the message, and returns it as a checked request for a job. `large` is its
        input if that is a large payload.

        Raises:
            LargePayload: `large` is missing; the message is whole.
            InvalidRequest: with every field that breaks a rule of the contract.
            PayloadRejected: the input is no JSON object as the contract wants it.
            PayloadTooLarge: the input is larger than `max_payload_bytes`.
        """
        try:
            return self._read(request, batch_index, large)
        except InvalidRequest as error:
            if batch_index is None:
                raise
            raise error.at(f"requests[{batch_index}].", index=str(batch_index)) from None

    async def read_large(
        self, request: service_pb.CreateJobRequest, batch_index: int | None = None
    ) -> JobRequest:
        """Does the same as `read` for a large payload, and lets other tasks run meanwhile."""
        compared = bool(request.request_id)
        large = await read_large(request.spec.input, self._max_payload_bytes, compared)
        return self.read(request, batch_index, large)

    def _read(
        self,
        request: service_pb.CreateJobRequest,
        batch_index: int | None,
        large: LargeRead | None,
    ) -> JobRequest:
        if not request.HasField("spec"):
            raise InvalidRequest([Violation("spec", "is required")])
        spec = request.spec
        # These are the job's own; other jobs may share the rest, compared by its encoding.
        given = spec.input if spec.HasField("input") else None
        unique_key, request_id = spec.unique_key, request.request_id
        if given is not None and large is None:
            check_size(given, "spec.input", self._max_payload_bytes)
        spec.ClearField("input")
        if unique_key:
            spec.ClearField("unique_key")
        # Equal specs may be spelled differently (0 and -0), and digests are of the spelling.
        if request_id or spec != self._spec:
            encoded = spec.SerializeToString(deterministic=True)
            if encoded != self._encoded:
                self._encoded = encoded
                self._digest = _digest(encoded, "")
                # A copy: the request as a whole may be large.
                self._spec = pb.JobSpec.FromString(encoded)
        options = self._known.get(self._encoded)
        if options is None or unique_key or request_id:
            checks = RequestChecks()
            if options is None:
                options = _options(checks, spec)
            if unique_key:
                checks.text("spec.unique_key", unique_key, 255)
            if request_id:
                checks.uuid("request_id", request_id)
            checks.raise_if_violated()
            self._keep(options)
        text, payload = payload_text(given, "spec.input", self._max_payload_bytes, large)
        request_digest = None
        if request_id:
            digest = _digest(self._encoded, unique_key) if unique_key else self._digest.copy()
            digest.update(large.canonical if large else canonical(payload))
            request_digest = digest.digest()
        return JobRequest(
            options=options,
            input=text,
            payload=payload,
            unique_key=unique_key or None,
            request_id=request_id or None,
            request_digest=request_digest,
            batch_index=batch_index,
        )

    def _keep(self, options: RequestedOptions) -> None:
        if self._encoded in self._known:
            return
        if len(self._encoded) > _MAX_SPEC_BYTES:
            self._spec = None
            return
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[self._encoded] = options


def _options(checks: RequestChecks, spec: pb.JobSpec) -> RequestedOptions:
    checks.queue("spec.queue", spec.queue)
    checks.number("spec.priority", spec.priority, -100, 100)
    schedule_time, delay = None, None
    if spec.HasField("schedule_time"):
        schedule_time = checks.set_time("spec.schedule_time", spec.schedule_time)
    if spec.HasField("schedule_delay"):
        delay = checks.seconds("spec.schedule_delay", spec.schedule_delay)
        if schedule_time is not None:
            checks.add("spec.schedule_delay", "must not be set beside spec.schedule_time")
    expire_time, ttl = None, None
    if spec.HasField("expire_time"):
        expire_time = checks.set_time("spec.expire_time", spec.expire_time)
        if schedule_time is not None and expire_time <= schedule_time:
            checks.add("spec.expire_time", "must be later than spec.schedule_time")
    elif spec.HasField("ttl"):
        ttl = checks.seconds("spec.ttl", spec.ttl)
        if ttl == 0:
            checks.add("spec.ttl", "must be above 0")
        elif delay is not None and ttl <= delay:
            checks.add("spec.ttl", "must be longer than spec.schedule_delay")
    on_conflict = spec.unique_conflict_policy
    if on_conflict:
        checks.enum("spec.unique_conflict_policy", on_conflict, pb.UniqueConflictPolicy.values())
    labels = (
        checks.mapping("spec.labels", spec.labels, MAX_ENTRIES, LABEL_KEY) if spec.labels else {}
    )
    return RequestedOptions(
        queue=spec.queue,
        priority=spec.priority,
        schedule_time=schedule_time,
        expire_time=expire_time,
        ttl_seconds=ttl,
        run_policy=read_run_policy(checks, "spec", spec),
        fail_if_taken=on_conflict == pb.UNIQUE_CONFLICT_POLICY_FAIL,
        labels=labels,
        schedule_delay_seconds=delay,
    )


def _digest(encoded: bytes, unique_key: str) -> "hashlib.blake2b":
    """The beginning of a digest, to be updated with the canonical form of the input: equal for
    equal specs, however their input is spelled."""
    return hashlib.blake2b(repr((encoded, unique_key)).encode(), digest_size=16)
