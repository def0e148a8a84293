"""A running server says each metric of the catalogue, as the catalogue has it, and no other."""

import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import timedelta

import asyncpg
import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.client import RetryPolicy
from jobsvc.extras import is_installed
from jobsvc.telemetry.catalogue import (
    CERTIFICATE_REMAINING,
    EMBEDDED_CONNECTIONS,
    EMBEDDED_DISK_FREE,
    EMBEDDED_DISK_SIZE,
    EMBEDDED_RESTARTS,
    EMBEDDED_SIZE,
    SERVER_INSTRUMENTS,
    SOMETIMES,
    WORKER_INSTRUMENTS,
    Instrument,
    Kind,
)
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage
from tests.support.certificates import HOST
from tests.support.probe import eventually
from tests.telemetry.support.prometheus import Scrape, head, prometheus_name, scrape
from tests.tracing.support.collector import grpc_collector

scraped = pytest.mark.skipif(
    not is_installed("prometheus"), reason="the extra prometheus is not installed"
)

#: What a server on a database of its own, without TLS, says.
_ALWAYS = [instrument for instrument in SERVER_INSTRUMENTS if instrument not in SOMETIMES]
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
    return [i.name for i in _ALWAYS if head(i) not in found.heads]


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
        await caller.client.declare_queue("nobody", max_waiting=40)
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
        head(instrument) for instrument in _ALWAYS
    }
    for instrument in _ALWAYS:
        name = prometheus_name(instrument)
        labels = tuple(sorted(key.replace(".", "_") for key in instrument.attributes))
        assert found.labels[name] == {labels}, name
        if instrument.kind is Kind.HISTOGRAM:
            bounds = {f"{boundary}" for boundary in instrument.boundaries} | {"+Inf"}
            assert found.bounds[name] == bounds, name
    assert found.value("jobsvc_jobs_created_total", queue="greet") == 2
    assert found.value("jobsvc_queue_jobs", queue="nobody", state="ready") == 1
    assert found.value("jobsvc_queue_oldest_ready_age_seconds", queue="nobody") > 0
    most = {line: value for line, value in found.values.items() if "max_waiting" in line}
    assert most == {'jobsvc_queue_max_waiting{queue="nobody"}': 40}
    completed = {"queue": "greet", "state": "COMPLETED", "reason": "OK"}
    assert found.value("jobsvc_jobs_ended_total", **completed) == 1
    failed = {"queue": "raises", "state": "FAILED", "reason": "UNKNOWN"}
    assert found.value("jobsvc_jobs_ended_total", **failed) == 1
    assert found.value("jobsvc_jobs_retried_total", queue="flaky", reason="UNAVAILABLE") == 1
    assert found.value("jobsvc_jobs_rescued_total", queue="nap", reason="LEASE_EXPIRED") == 1
    assert found.value("jobsvc_job_run_duration_seconds_count", queue="flaky") == 2
    assert found.value("jobsvc_job_wait_duration_seconds_count", queue="flaky") == 2


@scraped
async def test_what_is_said_of_the_embedded_postgres_and_the_certificate(
    stage: Stage,
) -> None:
    certificate, key = Authority().sign("server", HOST, is_server=True, life=timedelta(days=9))
    for name, pem in (("tls.crt", certificate), ("tls.key", key)):
        (stage.folder / name).write_bytes(pem)
    server = await stage.serve(
        embedded=True,
        http_listen="127.0.0.1:0",
        tls_cert=stage.folder / "tls.crt",
        tls_key=stage.folder / "tls.key",
    )
    url = await url_of(server)
    heads = {head(instrument) for instrument in SOMETIMES}
    found = await eventually(
        lambda: scrape(url), lambda said: heads <= said.heads, seconds=60, what="all of them"
    )
    remaining = found.value(prometheus_name(CERTIFICATE_REMAINING))
    assert 8 * 86_400 < remaining < 9 * 86_400
    free, size = (found.value(prometheus_name(i)) for i in (EMBEDDED_DISK_FREE, EMBEDDED_DISK_SIZE))
    assert 0 < free < size == shutil.disk_usage(stage.folder).total
    # A new database takes some tens of MiB, and has the connections of the pool.
    assert 10 << 20 < found.value(prometheus_name(EMBEDDED_SIZE)) < 1 << 30
    assert found.value(prometheus_name(EMBEDDED_CONNECTIONS)) >= 1
    restarts = prometheus_name(EMBEDDED_RESTARTS)
    assert found.value(restarts) == 0
    os.kill(int((stage.data_dir / "pgdata/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    await eventually(
        lambda: scrape(url).value(restarts), lambda count: count == 1, seconds=60, what="a restart"
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
        always = {i.name for i in _ALWAYS if not i.attributes}
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
