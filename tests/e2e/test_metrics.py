"""A running server says each metric of the catalogue, as the catalogue has it, and no other."""

import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.client import RetryPolicy
from jobsvc.extras import is_installed
from jobsvc.telemetry.catalogue import (
    EMBEDDED_INSTRUMENTS,
    SERVER_INSTRUMENTS,
    TLS_INSTRUMENTS,
    WORKER_INSTRUMENTS,
    Instrument,
    Kind,
)
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage
from tests.support.certificates import files_in
from tests.support.probe import eventually
from tests.telemetry.support.prometheus import Scrape, head, prometheus_name, scrape
from tests.tracing.support.collector import grpc_collector

scraped = pytest.mark.skipif(
    not is_installed("prometheus"), reason="the extra prometheus is not installed"
)

#: What the SDK adds of itself.
_OF_THE_SDK = re.compile(r"# TYPE (target_info|otel_\w+) ")


async def url_of(server: Server) -> str:
    """Where a server answers over HTTP."""
    await server.says(30, "/readyz served at ")
    found = re.search(r"served at (\S+)", server.stderr)
    assert found
    return found[1]


def missing(found: Scrape) -> list[str]:
    """The metrics of the catalogue that the server has not said."""
    return [i.name for i in SERVER_INSTRUMENTS if head(i) not in found.heads]


@scraped
async def test_server_says_every_metric_of_the_catalogue_as_it_is_there(
    stage: Stage, sql: asyncpg.Connection
) -> None:
    server = await stage.serve(
        http_listen="127.0.0.1:0", acknowledge_seconds=1, reconnect_seconds=1
    )
    url = await url_of(server)
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        ended = [await caller.create("greet", {"name": "Ada"}), await caller.create("flaky")]
        ended.append(await caller.create("raises", retry=RetryPolicy(max_attempts=1)))
        await caller.follow(ended)
        await caller.create("releases")
        await eventually(lambda: scrape(url).labels.get("jobsvc_jobs_released_total"))
        # One that waits.
        await caller.client.declare_queue("nobody")
        await caller.create("nobody")
        # One that is not acknowledged, and one whose worker dies.
        running = await caller.create("nap", {"seconds": 600})
        await eventually(lambda: running in {run.job_id for run in stage.history.runs()})
        worker.freeze()
        await caller.create("greet", {"name": "Bob"})
        await eventually(lambda: scrape(url).labels.get("jobsvc_jobs_redelivered_total"))
        worker.kill()
        await sql.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'jobsvc%'"
        )
        found = await eventually(
            lambda: scrape(url), lambda said: not missing(said), seconds=60, what="every metric"
        )

    assert {lines for lines in found.heads if not _OF_THE_SDK.match(lines[1])} == {
        head(instrument) for instrument in SERVER_INSTRUMENTS
    }
    for instrument in SERVER_INSTRUMENTS:
        name = prometheus_name(instrument)
        labels = tuple(sorted(key.replace(".", "_") for key in instrument.attributes))
        assert found.labels[name] == {labels}, name
        if instrument.kind is Kind.HISTOGRAM:
            bounds = {f"{boundary}" for boundary in instrument.boundaries} | {"+Inf"}
            assert found.bounds[name] == bounds, name
    assert found.value("jobsvc_jobs_created_total", queue="greet") == 2
    assert found.value("jobsvc_queue_jobs", queue="nobody", state="ready") == 1
    assert found.value("jobsvc_queue_oldest_ready_age_seconds", queue="nobody") > 0
    completed = {"queue": "greet", "state": "COMPLETED", "reason": "OK"}
    assert found.value("jobsvc_jobs_ended_total", **completed) == 1
    failed = {"queue": "raises", "state": "FAILED", "reason": "UNKNOWN"}
    assert found.value("jobsvc_jobs_ended_total", **failed) == 1
    assert found.value("jobsvc_jobs_retried_total", queue="flaky", reason="UNAVAILABLE") == 1
    assert found.value("jobsvc_jobs_rescued_total", queue="nap", reason="LEASE_EXPIRED") == 1
    assert found.value("jobsvc_job_run_duration_seconds_count", queue="flaky") == 2
    assert found.value("jobsvc_job_wait_duration_seconds_count", queue="flaky") == 2


@scraped
async def test_server_with_tls_and_the_embedded_postgres_says_the_metrics_of_both(
    stage: Stage, tmp_path: Path
) -> None:
    files = files_in(tmp_path)
    files.write(Authority())
    server = await stage.serve(
        embedded=True,
        http_listen="127.0.0.1:0",
        tls_cert=files.certificate,
        tls_key=files.key,
    )
    url = await url_of(server)
    more = (*TLS_INSTRUMENTS, *EMBEDDED_INSTRUMENTS)

    def said() -> Scrape:
        return scrape(url)

    found = await eventually(
        said, lambda s: all(head(i) in s.heads for i in more), seconds=60, what="both"
    )
    assert all(found.labels[prometheus_name(i)] == {()} for i in more)
    days = found.value("jobsvc_tls_certificate_expiry_seconds") / 86_400
    assert 29 < days <= 30  # as the authority of the tests signs it
    # A new database takes some tens of MiB, and has the connections of the pool.
    assert 10 << 20 < found.value("jobsvc_embedded_size_bytes") < 1 << 30
    assert found.value("jobsvc_embedded_disk_free_bytes") > 0
    assert found.value("jobsvc_embedded_connections") >= 1
    assert found.value("jobsvc_embedded_restarts_total") == 0

    postmaster = int((stage.data_dir / "pgdata/postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    await eventually(
        said, lambda s: s.value("jobsvc_embedded_restarts_total") == 1, seconds=60, what="restart"
    )


def status_of(url: str) -> tuple[int, str]:
    """What a path answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_server_that_waits_for_its_database_is_alive_and_not_ready(stage: Stage) -> None:
    server = stage.start_server(dsn="postgresql://x@127.0.0.1:9/x", http_listen="127.0.0.1:0")
    url = await url_of(server)
    assert status_of(f"{url}/livez") == (200, "ok\n")
    assert status_of(f"{url}/readyz") == (503, "waiting for the database\n")
    assert status_of(f"{url}/metrics")[0] == (200 if is_installed("prometheus") else 404)


async def test_server_that_drains_is_alive_and_not_ready(stage: Stage) -> None:
    server = await stage.serve(http_listen="127.0.0.1:0", drain_seconds=60)
    url = await url_of(server)
    assert status_of(f"{url}/readyz") == (200, "ok\n")
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        running = await caller.create("nap", {"seconds": 600})
        await eventually(lambda: running in {run.job_id for run in stage.history.runs()})
    worker.freeze()
    server.terminate()
    assert await eventually(lambda: status_of(f"{url}/readyz"), lambda said: said[0] == 503) == (
        503,
        "draining\n",
    )
    assert status_of(f"{url}/livez") == (200, "ok\n")


def as_sent(instruments: Iterable[Instrument]) -> dict[str, object]:
    """What a collector notes of these metrics."""
    kinds = {Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}
    return {
        i.name: (kinds[i.kind], i.unit, i.description, {tuple(sorted(i.attributes))})
        for i in instruments
    }


async def test_server_sends_the_same_to_a_collector(stage: Stage) -> None:
    expected = as_sent(SERVER_INSTRUMENTS)
    with grpc_collector() as (collector, endpoint):
        await stage.serve(
            environment={
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint,
                "OTEL_METRIC_EXPORT_INTERVAL": "200",
            }
        )
        always = {i.name for i in SERVER_INSTRUMENTS if not i.attributes}
        sent = await eventually(lambda: collector.metrics, lambda sent: always <= sent.keys())
    assert {name: expected[name] for name in sent} == sent


async def test_worker_sends_every_metric_of_the_catalogue_as_it_is_there(stage: Stage) -> None:
    expected = as_sent(WORKER_INSTRUMENTS)
    with grpc_collector() as (collector, endpoint):
        server = await stage.serve()
        await stage.work(
            server.target,
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=endpoint,
            OTEL_METRIC_EXPORT_INTERVAL="200",
        )
        async with stage.calls(server.target) as caller:
            await caller.follow([await caller.create("greet", {"name": "Ada"})])
        await eventually(
            lambda: collector.metrics, lambda sent: sent == expected, what="every metric"
        )
