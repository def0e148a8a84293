"""Every query of deploy/grafana/dashboard.json has an answer, from a real Prometheus that reads
real servers with real jobs and workers; and it raises the alerts of deploy/prometheus."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.client import JobNotFound, RetryPolicy
from jobsvc.extras import is_installed
from tests.alerts.support.rules import ROOT, names_in
from tests.e2e.support.caller import Caller
from tests.e2e.support.processes import Server
from tests.e2e.support.prometheus import Prometheus, free_port, is_there
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.certificates import HOST
from tests.support.probe import eventually
from tests.telemetry.support.prometheus import all_names

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text(encoding="utf-8"))
_VARIABLES = {
    "$job": "jobsvc",
    "$queue": ".*",
    "$instance": ".*",
    "$__rate_interval": "1m",
}
_AGED = """
    UPDATE jobsvc.waiting SET run_at = run_at - interval '5 min' WHERE queue = 'nobody'
"""
#: What a healthy system has nothing of: alerts that fire.
_EMPTY = {'ALERTS{alertname=~"Jobsvc.+", alertstate="firing"}'}


def filled(expression: str) -> str:
    """A query with the values of its variables."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def panels() -> Iterator[dict[str, Any]]:
    """All panels that show something."""
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> list[str]:
    """All queries: those of panels, of variables, and of marks at the time of alerts."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            values = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert values
            found.append(
                f'{values[1]} != Inf unless {values[1]}{{{values[2]}=""}}'.replace("}{", ", ")
            )
    return [*found, *(mark["expr"] for mark in DASHBOARD["annotations"]["list"])]


def test_metrics_of_the_dashboard_are_those_of_servers_and_workers() -> None:
    used = {name for query in queries() for name in names_in(filled(query))}
    assert used - all_names() == {"up"}
    # Of the server, every one is shown; of the process of a worker none.
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in all_names()} - shown == set()


def test_panels_have_titles_of_their_own_places_of_their_own_and_units() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def has_data(series: list[dict[str, Any]]) -> bool:
    """Whether there is a number."""
    return any(math.isfinite(float(one["value"][1])) for one in series)


async def scraped(server: Server) -> str:
    """Where Prometheus reads it."""
    await server.says(30, "/readyz served at ")
    found = re.search(r"served at http://(\S+)", server.stderr)
    assert found
    return found[1]


async def _work_of_a_day(stage: Stage, server: Server, caller: Caller) -> None:
    """Everything that may become of a job, and of a call."""
    await caller.follow([await caller.create("flaky")])
    await caller.client.declare_queue("nobody", max_waiting=2)
    for _ in range(2):
        await caller.client.create("nobody")
    with pytest.raises(JobNotFound):
        await caller.client.get(str(UUID(int=0)))
    victim = await stage.work(server.target)
    naps = [await caller.create("nap", {"seconds": 600}) for _ in range(12)]
    await eventually(
        lambda: any(run.pid == victim.pid for run in stage.history.runs(*naps)), seconds=60
    )
    victim.freeze()
    for _ in range(8):
        await caller.create("greet", {"name": "Bob"})
    victim.kill()
    for nap in naps:
        await caller.cancel(nap)


@asynccontextmanager
async def a_busy_day(caller: Caller) -> AsyncIterator[None]:
    """Jobs that end well, fail, and are handed back, all the time."""

    async def work() -> None:
        while True:
            await caller.client.create("releases")
            await caller.client.create("raises", retry=RetryPolicy(max_attempts=1))
            await caller.follow([await caller.create("flaky") for _ in range(4)])

    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work())
        yield
        working.cancel()


def _tls(folder: Path) -> dict[str, Path]:
    pair = Authority().sign("server", HOST, is_server=True, life=timedelta(days=90))
    files = folder / "tls.crt", folder / "tls.key"
    for file, pem in zip(files, pair, strict=True):
        file.write_bytes(pem)
    return {"tls_cert": files[0], "tls_key": files[1]}


@pytest.mark.skipif(not is_there(), reason="the Debian package prometheus is not installed")
@pytest.mark.skipif(not is_installed("prometheus"), reason="the extra prometheus is not installed")
@pytest.mark.timeout(400)
async def test_every_query_has_an_answer_and_alerts_are_raised(stage: Stage) -> None:
    short = {"http_listen": "127.0.0.1:0", "acknowledge_seconds": 1, "reconnect_seconds": 1}
    server = await stage.serve(embedded=True, **short)
    other = await stage.serve(dsn=stage.embedded_dsn, **short, **_tls(stage.folder))
    worker = f"127.0.0.1:{free_port()}"
    await stage.work(
        server.target,
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT=worker.rpartition(":")[2],
    )
    prometheus = Prometheus(
        stage.folder / "prometheus", [await scraped(server), await scraped(other)], [worker]
    )
    try:
        await prometheus.ready()
        async with stage.calls(server.target) as caller:
            await _work_of_a_day(stage, server, caller)
            await fetch(
                stage.embedded_dsn,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'jobsvc%' AND pid <> pg_backend_pid()",
            )
            async with a_busy_day(caller):
                left = [query for query in queries() if query not in _EMPTY]

                def unanswered() -> list[str]:
                    left[:] = [q for q in left if not has_data(prometheus.query(filled(q)))]
                    return left

                await eventually(
                    unanswered, lambda found: not found, seconds=200, what="an answer to each"
                )
            for query in _EMPTY:
                prometheus.query(filled(query))
            # The jobs of `nobody` have been ready for five minutes, and fill it.
            await fetch(stage.embedded_dsn, _AGED)
            wanted = {("JobsvcQueueWithoutWorker", "nobody"), ("JobsvcQueueNearlyFull", "nobody")}

            def raised(*states: str) -> set[tuple[str, str]]:
                alerts = prometheus.api("alerts")["alerts"]
                labels = [alert["labels"] for alert in alerts if alert["state"] in states]
                return {(each["alertname"], each.get("queue", "")) for each in labels}

            await eventually(
                lambda: raised("pending", "firing"),
                lambda found: wanted <= found,
                seconds=120,
                what="alerts",
            )
            planted = {("JobsvcJobsFail", "raises"), ("JobsvcLeasesRescued", "nap"), *wanted}
            assert raised("firing") <= planted
            groups = prometheus.api("rules")["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}, rules
    finally:
        prometheus.kill()
