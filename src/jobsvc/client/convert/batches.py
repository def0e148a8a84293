"""Packs creations into batches that the server accepts. Pure."""

from collections.abc import Iterable, Iterator

from jobsvc.v1 import job_service_pb2

#: Limits of one batch: items by contract, bytes with some space below the
#: server's 4 MiB for the frame around the requests.
MAX_BATCH_ITEMS = 1000
MAX_BATCH_BYTES = 3_670_016
#: Bytes that a batch adds to each request: a tag and a length.
_ITEM_OVERHEAD_BYTES = 8


def batch_requests(
    requests: Iterable[job_service_pb2.CreateJobRequest],
) -> Iterator[job_service_pb2.BatchCreateJobsRequest]:
    """Packs requests, in order, into batches that the server accepts.

    A request that is too large by itself goes alone, for the server to refuse.
    """
    batch = job_service_pb2.BatchCreateJobsRequest()
    batch_bytes = 0
    for request in requests:
        item_bytes = request.ByteSize() + _ITEM_OVERHEAD_BYTES
        full = len(batch.requests) == MAX_BATCH_ITEMS or batch_bytes + item_bytes > MAX_BATCH_BYTES
        if batch.requests and full:
            yield batch
            batch, batch_bytes = job_service_pb2.BatchCreateJobsRequest(), 0
        batch.requests.append(request)
        batch_bytes += item_bytes
    if batch.requests:
        yield batch
