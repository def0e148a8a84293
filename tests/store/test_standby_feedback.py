"""A standby keeps dead rows of its primary: by its feedback, or by a slot that it left behind."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from jobsvc.domain.dead_rows import HorizonHolder
from jobsvc.store.migrate import migrate
from jobsvc.store.store import Store, open_store
from tests.support.probe import eventually
from tests.support.standby import Pair, pair


@pytest.fixture
async def servers() -> AsyncIterator[Pair]:
    """A primary and a standby that tells it what its transactions see."""
    async with pair() as running:
        await migrate(running.primary.dsn)
        await running.standby.execute(
            "ALTER SYSTEM SET hot_standby_feedback = on", "SELECT pg_reload_conf()"
        )
        yield running


async def held_by(store: Store, kind: str) -> HorizonHolder:
    """Waits until somebody of this kind holds the horizon."""

    async def look() -> HorizonHolder | None:
        return await store.upkeep.horizon_holder()

    holder = await eventually(look, lambda found: found is not None and found.kind == kind)
    assert holder is not None
    return holder


async def test_standby_and_its_slot_are_named(servers: Pair) -> None:
    async with open_store(servers.primary.dsn, "s", 2, 10, 10) as store:
        reader = await asyncpg.connect(servers.standby.dsn)
        try:
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            standby = await held_by(store, "standby")
            assert (standby.name, standby.seconds) == ("walreceiver", None)
            senders = "SELECT pid FROM pg_stat_replication"
            assert standby.pid == await servers.primary.fetchval(senders)

            await servers.primary.execute("SELECT pg_create_physical_replication_slot('left')")
            await servers.standby.execute(
                "ALTER SYSTEM SET primary_slot_name = 'left'", "SELECT pg_reload_conf()"
            )
            await held_by(store, "slot")
            await servers.cut()
        finally:
            await reader.close()
        slot = await held_by(store, "slot")
        assert (slot.name, slot.state, slot.pid, slot.seconds) == ("left", "physical", None, None)
