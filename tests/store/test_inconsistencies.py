"""Rows that contradict each other are named, each kind by its name; whatever jobsvc does leaves
none."""

import asyncpg
import pytest

from jobsvc.domain.inconsistency import Inconsistency, Kind
from jobsvc.settings import SCHEMA
from jobsvc.store.inconsistencies import find_inconsistencies
from jobsvc.store.store import Store
from tests.store.support.samples import COMPLETED, RETRY, create, end, lease

#: By kind, statements that seed it in the tables that `jobs` leaves, and the names that are told;
#: W waits with a unique key, L is leased, E has ended.
SEEDS = [
    (Kind.JOB_NOWHERE, "DELETE FROM result WHERE job_id = 'E'", "E"),
    (Kind.JOB_NOWHERE, "DELETE FROM lease", "L"),
    (
        Kind.JOB_TWICE,
        "INSERT INTO result (job_id, state, attempt, version, worker_id, end_time, purge_time,"
        " progress_message) VALUES ('L', 3, 1, 9, '', now(), now() + interval '1 h', '')",
        "L",
    ),
    (Kind.ORPHAN, "DELETE FROM job WHERE id = 'L'", "attempt L, lease L"),
    (Kind.ORPHAN, "DELETE FROM job WHERE id = 'E'", "result E"),
    (Kind.ORPHAN, "DELETE FROM job WHERE id = 'W'", "held_key W, waiting W"),
    (Kind.QUEUE_DIFFERS, "UPDATE waiting SET queue = 'other'", "W"),
    (Kind.QUEUE_DIFFERS, "UPDATE lease SET queue = 'other'", "L"),
    (Kind.QUEUE_MISSING, "DELETE FROM queue WHERE name = 'q'", "L, W"),
    (Kind.TOO_MANY_ATTEMPTS, "UPDATE lease SET attempt = 4", "L"),
    (Kind.TOO_MANY_ATTEMPTS, "UPDATE result SET attempt = 4", "E"),
    (Kind.KEY_NOT_HELD, "DELETE FROM held_key", "W"),
    (
        Kind.KEY_HELD_BY_ENDED,
        "UPDATE held_key SET job_id = 'E'; UPDATE waiting SET keyed = false",
        "E",
    ),
    (Kind.KEY_HELD_BY_ENDED, "UPDATE waiting SET keyed = false", "W"),
    (Kind.SCHEMA_MISSING, "UPDATE queue SET input_schema_id = 77 WHERE name = 'q'", "queue q"),
    (Kind.SCHEMA_MISSING, "UPDATE job SET output_schema_id = 77 WHERE id IN ('L', 'E')", "job L"),
    (
        Kind.SCHEMA_IDS_BEHIND,
        "INSERT INTO payload_schema (id, digest, definition) OVERRIDING SYSTEM VALUE"
        " VALUES (5, 'd', '{}')",
        "5",
    ),
    (Kind.SESSION_KEY_MISSING, "DELETE FROM secret", "session_key"),
]


@pytest.fixture
async def jobs(store: Store) -> dict[str, str]:
    """One job in each state, by the letters of `SEEDS`."""
    await store.queues.declare(["other"])
    ended = await create(store)
    [done] = await lease(store)
    await store.lease_ends.ends.submit_one(end(done.id, COMPLETED))
    leased = await create(store)
    [first] = await lease(store)
    await store.lease_ends.ends.submit_one(end(first.id, RETRY))
    await lease(store)
    return {"E": ended, "L": leased, "W": await create(store, unique_key="k")}


def named(text: str, jobs: dict[str, str]) -> str:
    for letter, job_id in jobs.items():
        text = text.replace(f"'{letter}'", f"'{job_id}'")
    return text


async def test_nothing_is_wrong_with_jobs_in_every_state(dsn: str, jobs: dict[str, str]) -> None:
    assert await find_inconsistencies(dsn, SCHEMA) == []


@pytest.mark.parametrize(("kind", "statement", "names"), SEEDS)
async def test_what_was_changed_by_hand_is_named(
    dsn: str, jobs: dict[str, str], sql: asyncpg.Connection, kind: Kind, statement: str, names: str
) -> None:
    await sql.execute(named(statement, jobs))
    by_kind = {found.kind: found for found in await find_inconsistencies(dsn, SCHEMA)}
    expected = [
        " ".join(jobs.get(word, word) for word in name.split()) for name in names.split(", ")
    ]
    assert sorted(by_kind[kind].names) == sorted(expected)
    assert by_kind[kind].number == len(expected)
    assert list(by_kind) == [kind]


def test_every_kind_is_seeded() -> None:
    assert {kind for kind, _, _ in SEEDS} == set(Kind)


async def test_first_of_many_are_named(dsn: str, store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(7):
        await create(store)
    await sql.execute("DELETE FROM waiting")
    [found] = await find_inconsistencies(dsn, SCHEMA)
    assert (found.number, len(found.names)) == (7, 5)
    assert found.sentence.startswith("7 jobs in neither waiting, lease nor result: ")
    assert found.sentence.endswith(" and 2 more)")


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_sentence(kind: Kind) -> None:
    assert "{" not in Inconsistency(kind, 1, ("a",)).sentence
