"""One row for each method of the contract, and of KEDA's: which roles may call it, and how server
and client treat its calls. Guard, request queues, the client's retry policy and the documentation
read it; it is in `domain` because the client must not import `api`."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial

from jobsvc.domain.identity import (
    ADMIN,
    CREATOR,
    PAYLOADS_VIEWER,
    QUEUES_ADMIN,
    VIEWER,
    WORKER,
)


@dataclass(frozen=True, slots=True)
class Method:
    """How the calls of one method are treated."""

    #: As in `package.Service`.
    service: str
    name: str
    _: KW_ONLY
    #: The caller needs one of these where callers are authenticated; without one, the method is not
    #: served there.
    roles: tuple[str, ...] = ()
    #: A call stays open until something happens.
    waits: bool = False
    #: Called by the thousand at once, so its calls stand in a gRPC request queue of their own.
    own_request_queue: bool = False
    #: A replica that is about to exit still serves it.
    served_while_draining: bool = False
    #: A client may send it again without harm: it reads, is idempotent or carries a request id.
    repeatable: bool = False
    #: A request may have megabytes: it is not read until there is room for it.
    large_requests: bool = False
    #: It changes nothing, so that its answer may be dropped when there is no room for it.
    reads: bool = False
    #: The session and the user in the metadata decide what the call may see.
    reads_caller: bool = False
    #: Its calls are noted in the audit; the field, of the request or the answer, that names what a
    #: call is about. Empty for a method that is not audited.
    audited: str = ""

    @property
    def full_name(self) -> str:
        """As in `package.Service/Method`."""
        return f"{self.service}/{self.name}"


_job = partial(Method, "jobsvc.v1.JobService", reads_caller=True)
_worker = partial(Method, "jobsvc.v1.WorkerService", roles=(WORKER,))
_queue = partial(Method, "jobsvc.v1.QueueService")
# KEDA calls every replica in turn, also one that drains, and takes each refusal for an error.
_scaler = partial(
    Method,
    "externalscaler.ExternalScaler",
    roles=(VIEWER,),
    served_while_draining=True,
)
_READS_JOBS = (VIEWER, PAYLOADS_VIEWER)
_WRITES_JOBS = (CREATOR,)
_SEES_BULK = (CREATOR, VIEWER, PAYLOADS_VIEWER)
_READS_QUEUES = (VIEWER, QUEUES_ADMIN)
_DECLARES_QUEUES = (WORKER, QUEUES_ADMIN)
_CONTROLS_QUEUES = (QUEUES_ADMIN,)

#: Services that are not ours: the roles of which a caller needs one, none for health.
OTHER_SERVICES: Mapping[str, tuple[str, ...]] = {
    "grpc.health.v1.Health": (),
    "grpc.reflection.v1alpha.ServerReflection": (ADMIN,),
    "grpc.reflection.v1.ServerReflection": (ADMIN,),
    "grpc.channelz.v1.Channelz": (ADMIN,),
}

METHODS: tuple[Method, ...] = (
    _job("CreateJob", roles=_WRITES_JOBS, own_request_queue=True, repeatable=True),
    _job(
        "BatchCreateJobs",
        roles=_WRITES_JOBS,
        own_request_queue=True,
        repeatable=True,
        large_requests=True,
    ),
    _job("GetJob", roles=_READS_JOBS, own_request_queue=True, repeatable=True, reads=True),
    _job(
        "WaitJob",
        roles=_READS_JOBS,
        waits=True,
        own_request_queue=True,
        repeatable=True,
        reads=True,
    ),
    _job("ListJobs", roles=_READS_JOBS, repeatable=True, reads=True),
    _job("CountJobs", roles=_READS_JOBS, repeatable=True, reads=True),
    _job("UpdateJob", roles=_WRITES_JOBS, audited="job_id"),
    _job("CancelJob", roles=_WRITES_JOBS, repeatable=True, audited="job_id"),
    _job("RetryJob", roles=_WRITES_JOBS, audited="job_id"),
    _job("DeleteJob", roles=_WRITES_JOBS, audited="job_id"),
    _job("StreamJobStatus", roles=_READS_JOBS, waits=True, own_request_queue=True),
    _job("WatchJobs", roles=_READS_JOBS, waits=True, own_request_queue=True),
    _job("Submit", roles=_WRITES_JOBS, waits=True, own_request_queue=True),
    _job("BulkJobs", roles=_WRITES_JOBS, repeatable=True, audited="operation.id"),
    _job("GetBulkOperation", roles=_SEES_BULK, repeatable=True, reads=True),
    _job("ListBulkOperations", roles=_SEES_BULK, repeatable=True, reads=True),
    _job("WaitBulkOperation", roles=_SEES_BULK, waits=True, repeatable=True, reads=True),
    _job("StopBulkOperation", roles=_WRITES_JOBS, repeatable=True, audited="operation_id"),
    _worker("Work", waits=True, own_request_queue=True),
    _worker("LeaseJobs", waits=True, own_request_queue=True),
    _worker("ExtendLeases", served_while_draining=True),
    _worker("ReportOutcomes", served_while_draining=True),
    _queue("CreateQueue", roles=_CONTROLS_QUEUES, large_requests=True, audited="queue.name"),
    _queue("GetQueue", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("ListQueues", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue(
        "UpdateQueue",
        roles=_DECLARES_QUEUES,
        repeatable=True,
        large_requests=True,
        audited="queue.name",
    ),
    _queue("DeleteQueue", roles=_CONTROLS_QUEUES, audited="name"),
    _queue("PauseQueue", roles=_CONTROLS_QUEUES, repeatable=True, audited="name"),
    _queue("ResumeQueue", roles=_CONTROLS_QUEUES, repeatable=True, audited="name"),
    _queue("PurgeQueue", roles=_CONTROLS_QUEUES, audited="name"),
    _queue("GetQueueStats", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("GetQueueHistory", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("ListWorkers", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("DrainWorker", roles=_CONTROLS_QUEUES, repeatable=True, audited="worker_id"),
    _scaler("IsActive", repeatable=True, reads=True),
    _scaler("StreamIsActive", waits=True),
    _scaler("GetMetricSpec", repeatable=True, reads=True),
    _scaler("GetMetrics", repeatable=True, reads=True),
)

_BY_FULL_NAME = {method.full_name: method for method in METHODS}


def method_named(full_name: str) -> Method:
    """The row of a method (`package.Service/Method`).

    Raises:
        LookupError: the method has no row.
    """
    method = _BY_FULL_NAME.get(full_name)
    if method is None:
        raise LookupError(f"{full_name} has no row in jobsvc.domain.methods.METHODS")
    return method
