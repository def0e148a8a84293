"""One row for each method of the contract, and of KEDA's: which roles may call it, and how server
and client treat its calls. Guard, request queues, the client's retry policy and the documentation
read it; it is in `domain` because the client must not import `api`."""

from dataclasses import KW_ONLY, dataclass
from functools import partial


@dataclass(frozen=True, slots=True)
class Method:
    """How the calls of one method are treated."""

    #: As in `package.Service`.
    service: str
    name: str
    _: KW_ONLY
    #: The caller needs one of these; empty where the contract asks for no role.
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

    @property
    def full_name(self) -> str:
        """As in `package.Service/Method`."""
        return f"{self.service}/{self.name}"


_job = partial(Method, "jobsvc.v1.JobService", reads_caller=True)
_worker = partial(Method, "jobsvc.v1.WorkerService", roles=("jobs.worker",))
_queue = partial(Method, "jobsvc.v1.QueueService")
# KEDA calls every replica in turn, also one that drains, and takes each refusal for an error.
_scaler = partial(
    Method,
    "externalscaler.ExternalScaler",
    roles=("jobs.viewer",),
    served_while_draining=True,
)
_READS_QUEUES = ("jobs.viewer",)
_DECLARES_QUEUES = ("jobs.worker", "jobs.admin")
_CONTROLS_QUEUES = ("jobs.admin",)

METHODS: tuple[Method, ...] = (
    _job("CreateJob", own_request_queue=True, repeatable=True),
    _job("BatchCreateJobs", own_request_queue=True, repeatable=True, large_requests=True),
    _job("GetJob", own_request_queue=True, repeatable=True, reads=True),
    _job("WaitJob", waits=True, own_request_queue=True, repeatable=True, reads=True),
    _job("ListJobs", repeatable=True, reads=True),
    _job("CountJobs", repeatable=True, reads=True),
    _job("UpdateJob"),
    _job("CancelJob", repeatable=True),
    _job("RetryJob"),
    _job("DeleteJob"),
    _job("StreamJobStatus", waits=True, own_request_queue=True),
    _job("WatchJobs", waits=True, own_request_queue=True),
    _job("Submit", waits=True, own_request_queue=True),
    _job("BulkJobs", repeatable=True),
    _job("GetBulkOperation", repeatable=True, reads=True),
    _job("ListBulkOperations", repeatable=True, reads=True),
    _job("WaitBulkOperation", waits=True, repeatable=True, reads=True),
    _job("StopBulkOperation", repeatable=True),
    _worker("Work", waits=True, own_request_queue=True),
    _worker("LeaseJobs", waits=True, own_request_queue=True),
    _worker("ExtendLeases", served_while_draining=True),
    _worker("ReportOutcomes", served_while_draining=True),
    _queue("CreateQueue", roles=_CONTROLS_QUEUES, large_requests=True),
    _queue("GetQueue", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("ListQueues", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("UpdateQueue", roles=_DECLARES_QUEUES, repeatable=True, large_requests=True),
    _queue("DeleteQueue", roles=_CONTROLS_QUEUES),
    _queue("PauseQueue", roles=_CONTROLS_QUEUES, repeatable=True),
    _queue("ResumeQueue", roles=_CONTROLS_QUEUES, repeatable=True),
    _queue("PurgeQueue", roles=_CONTROLS_QUEUES),
    _queue("GetQueueStats", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("ListWorkers", roles=_READS_QUEUES, repeatable=True, reads=True),
    _queue("DrainWorker", roles=_CONTROLS_QUEUES, repeatable=True),
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
