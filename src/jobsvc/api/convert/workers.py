"""Writes workers into messages, and reads the requests about them."""

from datetime import UTC, datetime

from jobsvc.api.auth import current_service
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import write_timestamp
from jobsvc.domain.errors import PageTokenInvalid
from jobsvc.domain.limits import MAX_NOTE_CHARACTERS
from jobsvc.domain.worker import ListedWorker
from jobsvc.v1 import queue_service_pb2 as pb

_MAX_ID_CHARACTERS = 128
#: The same with the service of the worker and a blank in front.
_MAX_OWN_ID_CHARACTERS = 256 + 1 + _MAX_ID_CHARACTERS


def check_drain(request: pb.DrainWorkerRequest) -> None:
    """Checks a request to drain a worker.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    most = _MAX_OWN_ID_CHARACTERS if current_service() else _MAX_ID_CHARACTERS
    checks.text("worker_id", request.worker_id, most, 1)
    checks.text("reason", request.reason, MAX_NOTE_CHARACTERS)
    checks.raise_if_violated()


async def worker_message(worker: ListedWorker) -> pb.Worker:
    """A worker as a message."""
    seen = worker.seen
    message = pb.Worker(
        queues=seen.queues,
        window=seen.window,
        lease_count=seen.lease_count,
        server_id="" if seen.unary else worker.server_id,
    )
    message.info.worker_id = seen.worker_id
    message.info.version = seen.version
    message.info.sdk = seen.sdk
    message.info.labels.update(seen.labels)
    write_timestamp(message.connect_time, worker.connect_time)
    write_timestamp(message.last_seen_time, worker.last_seen)
    for held in worker.leases:
        lease = message.leases.add(job_id=held.job_id, queue=held.queue, attempt=held.attempt)
        write_timestamp(lease.start_time, datetime.fromtimestamp(held.start_time, UTC))
    if worker.drain_time is not None:
        write_timestamp(message.drain_time, worker.drain_time)
    return message


def page_token(worker: ListedWorker) -> str:
    """The token of the page that begins behind a worker; it stays good whatever changes."""
    return f"{worker.server_id}/{worker.seen.worker_id}"


def read_page_token(token: str) -> tuple[str, str]:
    """Returns the worker id and the replica behind which a page begins.

    Raises:
        PageTokenInvalid: no server has made it.
    """
    server_id, slash, worker_id = token.partition("/")
    if (token and not slash) or "\0" in token:
        raise PageTokenInvalid("page_token was not made by this server")
    return worker_id, server_id
