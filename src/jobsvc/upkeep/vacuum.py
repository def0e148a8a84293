"""Vacuum: jobs leave dead rows in the tables that they go through, by the ten thousand a second.
Autovacuum comes once a minute by default, and until then every lease walks past them."""

from jobsvc.store.store import Store


async def vacuum_tables(store: Store) -> int:
    """Vacuums those tables that need it, and counts them."""
    return await store.upkeep.vacuum()
