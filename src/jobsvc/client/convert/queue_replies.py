"""Reads the replies of `QueueService`, as plain values. Pure."""

from jobsvc.client.convert.optional_fields import read_seconds, read_time
from jobsvc.client.queue import Queue, QueueStats, QueueWarning
from jobsvc.v1 import queue_service_pb2


def read_declared(response: queue_service_pb2.UpdateQueueResponse) -> Queue:
    """Returns a queue that was declared, with the warnings about it, as plain values."""
    queue = response.queue
    return Queue(
        name=queue.name,
        paused=queue.state == queue_service_pb2.QUEUE_STATE_PAUSED,
        max_attempts=queue.retry_policy.max_attempts or None,
        attempt_timeout_seconds=read_seconds(queue, "attempt_timeout", queue.attempt_timeout),
        lease_seconds=read_seconds(queue, "lease_duration", queue.lease_duration),
        retention_seconds=read_seconds(queue, "retention", queue.retention),
        start_within_seconds=read_seconds(queue, "start_within", queue.start_within),
        create_time=read_time(queue, "create_time", queue.create_time),
        update_time=read_time(queue, "update_time", queue.update_time),
        etag=queue.etag,
        warnings=tuple(
            QueueWarning(field=w.field, reason=w.reason, message=w.message)
            for w in response.warnings
        ),
    )


def read_stats(stats: queue_service_pb2.QueueStats) -> QueueStats:
    """Returns the counts of a queue as plain values."""
    return QueueStats(
        queue=stats.queue,
        paused=stats.state == queue_service_pb2.QUEUE_STATE_PAUSED,
        scheduled_count=stats.scheduled_count,
        ready_count=stats.ready_count,
        processing_count=stats.processing_count,
        oldest_ready_seconds=read_seconds(stats, "oldest_ready_age", stats.oldest_ready_age),
        worker_count=stats.worker_count,
        open_window=stats.open_window,
    )
