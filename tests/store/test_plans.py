"""Plans of the statements that run all the time: by the indexes, whatever the statistics say."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from jobsvc.store.statement import sql as text_of
from jobsvc.store.store import Store

HOT = [
    "create_jobs",
    "expire_jobs",
    "extend_leases",
    "find_key_holder",
    "find_outcomes",
    "find_requests",
    "finish_jobs",
    "lease_jobs",
    "prune_jobs",
    "read_attempts",
    "read_jobs",
    "read_leases",
    "read_versions",
    "ready_queues",
    "requeue_jobs",
    "return_leases",
]
BIG_TABLES = {"job", "waiting", "lease", "result", "attempt", "held_key"}
Node = dict[str, Any]


async def plan(store: Store, name: str) -> Node:
    """The generic plan of a statement, under the settings of the store's sessions."""
    statement = text_of(name)
    count = max(map(int, re.findall(r"\$(\d+)", statement)))
    async with store.database.connection() as connection:
        await connection.execute(f"PREPARE planned AS {statement}")
        nothing = ", ".join(["NULL"] * count)
        rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE planned ({nothing})")
        await connection.execute("DEALLOCATE planned")
    found: Node = json.loads(rows[0][0])[0]["Plan"]
    return found


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def scans(node: Node) -> list[Node]:
    return [n for n in nodes(node) if "Scan" in n["Node Type"] and n.get("Relation Name")]


@pytest.mark.parametrize("name", HOT)
async def test_hot_statement_reads_by_index_only(store: Store, name: str) -> None:
    found = [n for n in scans(await plan(store, name)) if n["Relation Name"] in BIG_TABLES]
    assert found or name == "create_jobs"
    kinds = {(n["Relation Name"], n["Node Type"]) for n in found}
    by_index = {"Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan"}
    assert {kind for _, kind in kinds} <= by_index
    # A condition on the index, not a walk along the whole of it.
    bounds = {"Index Cond", "Recheck Cond", "TID Cond"}
    assert all(bounds & n.keys() for n in found), found


@pytest.mark.parametrize("name", HOT)
async def test_hot_statement_is_planned_in_nested_loops(store: Store, name: str) -> None:
    kinds = {n["Node Type"] for n in nodes(await plan(store, name))}
    assert not kinds & {"Hash Join", "Merge Join"}


async def test_next_jobs_are_read_in_the_order_of_the_index(store: Store) -> None:
    """The limit stands above the locks, is worked out once, and nothing is sorted for it."""
    (chosen,) = [
        n for n in nodes(await plan(store, "lease_jobs")) if n.get("Subplan Name") == "CTE next"
    ]
    path = [n["Node Type"] for n in nodes(chosen)]
    assert path[0] == "Limit"
    locks = path.index("LockRows")
    assert path[locks - 1] == "Limit"
    assert "Sort" not in path
    (scan,) = [n for n in scans(chosen) if n["Relation Name"] == "waiting"]
    assert scan["Index Name"] == "waiting_order"
    assert "run_at" not in scan.get("Filter", ""), scan


@pytest.mark.parametrize("name", ["expire_jobs", "prune_jobs"])
async def test_upkeep_walks_its_index_from_the_oldest(store: Store, name: str) -> None:
    (due,) = [n for n in nodes(await plan(store, name)) if n.get("Subplan Name") == "CTE due"]
    kinds = [n["Node Type"] for n in nodes(due)]
    assert kinds == ["Limit", "LockRows", "Index Scan"]
