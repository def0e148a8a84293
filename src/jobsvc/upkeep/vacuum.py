"""Vacuum: jobs leave up to ten thousand dead rows a second in the tables that they go through.
Autovacuum comes once a minute by default, and until then every claim walks past them."""

from jobsvc.store.store import Store


async def vacuum_tables(store: Store) -> int:
    """Vacuums the tables that need it. Returns how many."""
    return await store.upkeep.vacuum()
