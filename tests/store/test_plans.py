"""Plans of the statements that run all the time: by the indexes, whatever the statistics say."""

import asyncpg
import pytest

from jobsvc.store.store import Store
from tests.store.support.plans import BIG_TABLES, Node, nodes, plan, scans

FREQUENT = [
    "cancel_jobs",
    "cancel_waiting_of_queue",
    "count_ends",
    "count_jobs",
    "count_overdue",
    "count_waiting",
    "create_jobs",
    "create_leased_jobs",
    "current_leases",
    "delete_jobs",
    "expire_jobs",
    "extend_leases",
    "find_changed",
    "find_created",
    "find_in_queues",
    "find_key_holders",
    "find_moved",
    "find_outcomes",
    "find_requests",
    "finish_jobs",
    "first_inputs",
    "lease_jobs",
    "list_jobs",
    "prune_jobs",
    "read_attempts",
    "read_candidates",
    "read_cancel_requests",
    "read_jobs",
    "read_leases",
    "ready_queues",
    "redeliver_leases",
    "requeue_jobs",
    "retry_jobs",
    "update_jobs",
]
#: Statements that read all leases: there are no more than the windows of the workers.
ALL_LEASES = {"count_jobs", "count_overdue", "find_moved"}


def check_reads(name: str, found: Node) -> None:
    """Every big table is read by a condition on an index, or by ctid."""
    big = BIG_TABLES - ({"lease"} if name in ALL_LEASES else set())
    read = [n for n in scans(found) if n["Relation Name"] in big]
    assert read or name == "create_jobs"
    # A condition, not a walk along the whole of it; nor a bitmap, which knows no limit.
    assert {n["Node Type"] for n in read} <= {"Index Scan", "Index Only Scan", "Tid Scan"}, name
    assert all({"Index Cond", "TID Cond"} & n.keys() for n in read), (name, read)


@pytest.mark.parametrize("name", FREQUENT)
async def test_frequent_statement_reads_by_index_only(store: Store, name: str) -> None:
    check_reads(name, await plan(store, name))


@pytest.mark.parametrize("name", FREQUENT)
async def test_plan_is_the_same_where_a_vacuum_found_no_rows(
    store: Store, sql: asyncpg.Connection, name: str
) -> None:
    """Then the planner expects a single row until the next vacuum, however many there are by now,
    and considers a walk along the whole table as good as a lookup."""
    await sql.execute("VACUUM (ANALYZE)")
    check_reads(name, await plan(store, name))


@pytest.mark.parametrize("name", FREQUENT)
async def test_frequent_statement_is_planned_in_nested_loops(store: Store, name: str) -> None:
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


async def test_page_of_jobs_is_read_in_the_order_of_its_indexes(store: Store) -> None:
    """Nothing is sorted, so that a full page ends the walk."""
    found = list(nodes(await plan(store, "list_jobs")))
    kinds = [n["Node Type"] for n in found]
    assert kinds[0] == "Limit"
    assert "Merge Append" in kinds
    assert not [kind for kind in kinds if "Sort" in kind]
    walked = [n["Index Name"] for n in found if n.get("Scan Direction") == "Backward"]
    assert walked == [
        "job_pkey",
        "job_of_user",
        # Of the session under each key.
        "job_of_session",
        "job_of_session",
        "job_of_session",
        "waiting_pkey",
        "lease_pkey",
        "result_unsuccessful",
        "result_unsuccessful",
    ]


async def test_estimate_reads_a_sample(store: Store) -> None:
    (sample,) = [n for n in nodes(await plan(store, "estimate_jobs")) if "Sample" in n["Node Type"]]
    assert sample["Node Type"] == "Sample Scan"


@pytest.mark.parametrize(
    ("name", "part", "index"),
    [
        ("expire_jobs", "expired", "waiting_expiry"),
        ("expire_jobs", "unstarted", "waiting_start_deadline"),
        ("prune_jobs", "due", "result_purge"),
    ],
)
async def test_upkeep_walks_its_index_from_the_oldest(
    store: Store, name: str, part: str, index: str
) -> None:
    (due,) = [n for n in nodes(await plan(store, name)) if n.get("Subplan Name") == f"CTE {part}"]
    kinds = [n["Node Type"] for n in nodes(due)]
    assert kinds == ["Limit", "LockRows", "Index Scan"]
    assert [scan["Index Name"] for scan in scans(due)] == [index]
