"""Composition root: the nesting of `async with` is the start order and, backwards, the drain."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

from opentelemetry import metrics, trace

from jobsvc.api.admission import Admission
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.auth import CallerReader
from jobsvc.api.authentication import Authentication
from jobsvc.api.bulk_jobs import BulkJobs
from jobsvc.api.connections import Connections, most_connections
from jobsvc.api.convert.job_requests import RequestReader
from jobsvc.api.external_scaler import ExternalScaler
from jobsvc.api.guard import Guard
from jobsvc.api.job_control import JobControl
from jobsvc.api.job_lists import JobLists
from jobsvc.api.job_service import JobService
from jobsvc.api.outcomes import Outcomes
from jobsvc.api.queue_service import QueueService
from jobsvc.api.server import GrpcServer
from jobsvc.api.server_tls import ServerTls
from jobsvc.api.status_stream import StatusStreams
from jobsvc.api.submit_request import JobsReader
from jobsvc.api.submit_stream import SubmitStreams
from jobsvc.api.watch_stream import WatchStreams, write_update
from jobsvc.api.work_subscriber import WorkSubscriber
from jobsvc.api.worker_service import WorkerService
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.due_timers import DueTimers
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.presence import Presence
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import Retirement
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.dispatch.worker_ids import WorkerIds
from jobsvc.dispatch.worker_log import WorkerLog
from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.outages import Outages
from jobsvc.embedded import EmbeddedPostgres
from jobsvc.event_loop.lag import watch_loop
from jobsvc.event_loop.running import running
from jobsvc.jobs.bulk import BulkOperations
from jobsvc.jobs.cancel import Cancellation
from jobsvc.jobs.change import Changing
from jobsvc.jobs.create import Creation
from jobsvc.jobs.delete import Deletion
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.list import JobLister
from jobsvc.jobs.read import JobReader
from jobsvc.jobs.retry import Retrying
from jobsvc.jobs.settle import Settlement
from jobsvc.jobs.watch_feed import WatchFeed
from jobsvc.queues.catalog import Catalog
from jobsvc.queues.control import QueueControl
from jobsvc.queues.history import QueueHistoryWriter
from jobsvc.queues.queue_measurements import QueueMeasurements
from jobsvc.queues.statistics import QueueStatistics
from jobsvc.replica import Replica
from jobsvc.settings import DATABASE_KEY, Settings
from jobsvc.store.hints import Hint, Hints
from jobsvc.store.sessions import Pooling
from jobsvc.store.store import Store, open_store
from jobsvc.store.under_test import movable_texts
from jobsvc.telemetry.catalogue import CERTIFICATE_REMAINING, DATABASE_AVAILABLE
from jobsvc.telemetry.disk import measure_disk
from jobsvc.telemetry.measurements import Attributes, Measurements
from jobsvc.telemetry.process import measure_process
from jobsvc.tracing.publish import published
from jobsvc.upkeep.bulk import BulkRunner
from jobsvc.upkeep.duties import duties_of
from jobsvc.upkeep.embedded_measurements import EmbeddedMeasurements
from jobsvc.upkeep.loop import DutyLog, run_duties

#: `Replica` is what `replica` yields.
__all__ = ["Replica", "replica"]

#: Longest wait, at the end, for jobs that are being leased for unary calls.
_UNARY_SECONDS = 1.0


@asynccontextmanager
async def replica(
    dsn: str,
    settings: Settings,
    tls: ServerTls | None = None,
    clock_shift: Callable[[], timedelta] | None = None,
    postgres: EmbeddedPostgres | None = None,
) -> AsyncIterator[Replica]:
    """A replica on a database whose schema is up to date, serving until the end of the block, over
    TLS if `tls` is given. `postgres` is measured, too, if it is the database's.

    `clock_shift` is for tests alone: the database has a clock that they move
    (`store/under_test`), and the function returns by how much.
    """
    server_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    tracer = trace.get_tracer("jobsvc")
    measurements = Measurements()
    async with open_store(
        dsn,
        server_id,
        settings.pool_size,
        settings.statement_seconds,
        settings.max_queues,
        settings.schema,
        Pooling(settings.pooler) if settings.pooler else None,
        movable_texts(settings.schema) if clock_shift else None,
        measurements,
    ) as store:
        hints = Hints(
            dsn,
            server_id,
            troubles=store.database.troubles,
            schema=settings.schema,
            can_listen=store.database.pooling is Pooling.SESSION,
            servers=store.database.servers,
            measurements=measurements,
        )
        catalog = Catalog(store.queues)
        statistics = QueueStatistics(store.queues)
        hub = Hub(store.jobs, settings.poll_interval_seconds)
        feed = WatchFeed(
            store,
            write_update,
            hints.watch_jobs,
            settings.poll_interval_seconds,
            settings.statement_seconds,
        )

        redelivery = Redelivery(store, hints, settings.reconnect_seconds, measurements)
        presence = Presence(store)
        retirement = Retirement(store)
        worker_log = WorkerLog(settings.acknowledge_seconds)
        lease_duration = LeaseDuration(catalog, settings.lease_seconds)
        dispatcher = Dispatcher(
            store,
            lease_duration,
            hints,
            redelivery,
            InDoubtClaims(store, redelivery),
            presence,
            worker_log,
            retirement,
            settings,
            measurements,
        )
        store.jobs.write_by(dispatcher.births.write)
        unary_leases = UnaryLeases(store, hints, redelivery, dispatcher, presence, retirement)
        worker_ids = WorkerIds(store, dispatcher.replace)
        due_timers = DueTimers(hints)

        settlement = Settlement(
            store,
            catalog,
            hints,
            due_timers.start,
            settings,
            tracer,
            measurements,
            hub.is_followed,
        )
        creation = Creation(
            store,
            catalog,
            hints,
            due_timers.start,
            settings,
            tracer,
            _new_ids(clock_shift),
            measurements,
        )
        reader = JobReader(store, catalog, hub)
        lister = JobLister(store)
        queue_control = QueueControl(store, hints, settings, measurements)
        admission = Admission(settings, measurements)
        connections = Connections(
            min(most_connections(), settings.max_connections), settings.reserved_percent
        )
        trail = AuditTrail(
            store.audit if settings.audit_retention_seconds else None, measurements=measurements
        )
        authentication = Authentication(store, settings) if settings.authenticates else None
        gate = authentication.gate if authentication else None
        callers = CallerReader(await _session_keys(store, settings))
        outcomes = Outcomes(store, settlement, hints, dispatcher.leases_ended, settings)
        subscriber = WorkSubscriber(
            store,
            dispatcher,
            lease_duration,
            redelivery,
            worker_ids,
            worker_log,
            server_id,
            settings,
        )
        bulk_runner = BulkRunner(store, hints, due_timers.start, settings)
        server = GrpcServer(
            JobService(
                creation,
                reader,
                StatusStreams(hub, reader, settings.heartbeat_interval_seconds),
                SubmitStreams(
                    creation,
                    JobsReader(RequestReader(settings.max_payload_bytes), callers),
                    reader,
                    hub,
                    admission.job_rates,
                    settings,
                ),
                WatchStreams(feed, lister, reader, settings.heartbeat_interval_seconds),
                JobControl(
                    Cancellation(store, reader, hints, settings, measurements),
                    Retrying(
                        store,
                        reader,
                        hints,
                        due_timers.start,
                        settings,
                        creation.let_in_service,
                        measurements,
                    ),
                    Changing(store, catalog, reader, hints, due_timers.start),
                    Deletion(store, reader, hints, settings),
                    settings.max_payload_bytes,
                ),
                JobLists(lister),
                BulkJobs(BulkOperations(store, lister, hub, hints, bulk_runner.wake, settings)),
                admission.job_rates,
                settings,
            ),
            WorkerService(
                subscriber,
                dispatcher,
                unary_leases,
                lease_duration,
                redelivery,
                outcomes,
                settings,
            ),
            QueueService(
                store,
                hints,
                catalog,
                queue_control,
                retirement,
            ),
            ExternalScaler(statistics, settings.heartbeat_interval_seconds),
            Guard(admission, connections, callers, tracer, trail, gate, measurements),
            connections,
            store.database.troubles,
            settings,
            gate,
            trail,
        )

        def on_hint(hint: Hint) -> None:
            hub.changed(hint.job_ids, hint.known)
            feed.changed(hint.job_ids)
            dispatcher.wake(hint.ready)
            dispatcher.cancels_requested(hint.cancels)
            catalog.forget(hint.declared)

        def on_gap() -> None:
            hub.gap()
            feed.gap()

        hints.listen(on_hint, on_gap)
        if authentication is not None:
            hints.listen(authentication.on_hint)
        outages = Outages(
            settings.extend_interval_seconds + settings.reconnect_seconds,
            settings.rescue_interval_seconds,
        )
        duties = duties_of(
            store,
            settlement,
            hints,
            dispatcher,
            queue_control,
            outages,
            admission.bytes.take_peak,
            settings,
            measurements,
        )
        duty_log = DutyLog(measurements)
        queue_measurements = QueueMeasurements(store.queues, measurements)
        history = QueueHistoryWriter(store, measurements.jobs)
        measure_process(measurements)
        troubles = store.database.troubles
        measurements.gauge(DATABASE_AVAILABLE, lambda: [((), not troubles.is_away)])
        if settings.dsn is None:
            measure_disk(measurements, settings.data_dir)
        if tls is not None:
            measurements.gauge(CERTIFICATE_REMAINING, lambda: _known(tls.remaining_seconds))
        embedded = postgres and EmbeddedMeasurements(postgres, store.upkeep, measurements)
        with published(measurements) as is_published:
            async with running(
                ("servers", store.database.watch_servers()),
                ("hints", hints.run()),
                ("hub", hub.run()),
                ("watch feed", feed.run()),
                ("queue statistics", statistics.run()),
                *([("queue measurements", queue_measurements.run())] if is_published else []),
                *([("embedded", embedded.run())] if embedded and is_published else []),
                ("loop lag", watch_loop(metrics.get_meter("jobsvc"))),
                ("redelivery", redelivery.run()),
                ("dispatch", dispatcher.run()),
                ("worker ids", worker_ids.run()),
                ("audit", trail.run()),
                ("queue history", history.run()),
            ):
                async with (
                    authentication.running() if authentication else nullcontext(),
                    server.listening(settings.listen, tls) as port,
                    # Only now: the silence of a worker counts from its first look.
                    running(
                        ("upkeep", run_duties(*duties, log_of=duty_log)),
                        ("bulk", bulk_runner.run()),
                    ),
                ):
                    yield Replica(
                        port,
                        server,
                        admission,
                        hub,
                        feed,
                        statistics,
                        dispatcher,
                        redelivery,
                        outages,
                        store.database.troubles,
                        settings,
                        authentication,
                    )
                # Calls that were cancelled now may have held leases.
                await server.finish()
                await unary_leases.until_done(_UNARY_SECONDS)
                await redelivery.flush()
                await worker_ids.flush()
                await trail.flush()
                await history.flush()
                worker_log.tell_missed(at_end=True)


def _known(value: float | None) -> list[tuple[Attributes, float]]:
    """The values of a gauge without attributes."""
    return [] if value is None else [((), value)]


def _new_ids(clock_shift: Callable[[], timedelta] | None) -> Callable[[int], list[str]]:
    """Returns what makes the ids of jobs, in the order of their creation times."""
    if clock_shift is None:
        return new_job_ids
    return lambda count: new_job_ids(count, clock_shift())


async def _session_keys(store: Store, settings: Settings) -> list[bytes]:
    """The keys that session ids are hashed with, that for what is written first."""
    if settings.session_key is not None:
        return [settings.session_key.encode()]
    return [
        await store.credentials.session_key() if key == DATABASE_KEY else key.encode()
        for key in settings.session_keys or (DATABASE_KEY,)
    ]
