"""Reads the replies of `QueueService`, as plain values. Pure."""

from dataclasses import replace
from datetime import UTC

from jobsvc.client.convert.optional_fields import read_seconds, read_time
from jobsvc.client.queue import (
    DurationPercentiles,
    HeldLease,
    Queue,
    QueueHistoryStep,
    QueueStats,
    QueueWarning,
    Worker,
)
from jobsvc.v1 import queue_service_pb2


def read_declared(
    response: queue_service_pb2.UpdateQueueResponse | queue_service_pb2.CreateQueueResponse,
) -> Queue:
    """Returns a queue that was declared, with the warnings about it, as plain values."""
    warnings = tuple(
        QueueWarning(field=w.field, reason=w.reason, message=w.message) for w in response.warnings
    )
    return replace(read_queue(response.queue), warnings=warnings)


def read_queue(queue: queue_service_pb2.Queue) -> Queue:
    """Returns a queue as plain values."""
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
        max_waiting=queue.max_waiting or None,
        pause_reason=queue.pause_reason,
        pause_end_time=read_time(queue, "pause_end_time", queue.pause_end_time),
        deleting=queue.state == queue_service_pb2.QUEUE_STATE_DELETING,
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
        deleting=stats.state == queue_service_pb2.QUEUE_STATE_DELETING,
        recent=read_step(stats.recent) if stats.HasField("recent") else None,
    )


def read_step(step: queue_service_pb2.QueueHistoryStep) -> QueueHistoryStep:
    """Returns a step of a queue's history as plain values."""
    return QueueHistoryStep(
        start_time=step.start_time.ToDatetime(tzinfo=UTC),
        duration_seconds=step.duration.ToNanoseconds() / 1e9,
        created_count=step.created_count,
        completed_count=step.completed_count,
        cancelled_count=step.cancelled_count,
        failed_count=step.failed_count,
        failed_counts=dict(step.failed_counts),
        retried_count=step.retried_count,
        ready_count=step.ready_count,
        processing_count=step.processing_count,
        wait=_read_percentiles(step.wait) if step.HasField("wait") else None,
        run=_read_percentiles(step.run) if step.HasField("run") else None,
    )


def _read_percentiles(found: queue_service_pb2.DurationPercentiles) -> DurationPercentiles:
    return DurationPercentiles(
        count=found.count,
        p50_seconds=found.p50.ToNanoseconds() / 1e9,
        p95_seconds=found.p95.ToNanoseconds() / 1e9,
        p99_seconds=found.p99.ToNanoseconds() / 1e9,
    )


def read_worker(worker: queue_service_pb2.Worker) -> Worker:
    """Returns a worker as plain values."""
    return Worker(
        id=worker.info.worker_id,
        version=worker.info.version,
        sdk=worker.info.sdk,
        labels=dict(worker.info.labels),
        queues=tuple(worker.queues),
        window=worker.window,
        lease_count=worker.lease_count,
        leases=tuple(
            HeldLease(
                job_id=lease.job_id,
                queue=lease.queue,
                attempt=lease.attempt,
                start_time=read_time(lease, "start_time", lease.start_time),
            )
            for lease in worker.leases
        ),
        server_id=worker.server_id,
        connect_time=read_time(worker, "connect_time", worker.connect_time),
        last_seen_time=read_time(worker, "last_seen_time", worker.last_seen_time),
        drain_time=read_time(worker, "drain_time", worker.drain_time),
    )
