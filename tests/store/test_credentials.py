"""Secrets that all replicas share."""

from jobsvc.store.store import Store


async def test_session_key_is_long_and_stays(store: Store) -> None:
    key = await store.credentials.session_key()
    assert len(key) == 32
    assert await store.credentials.session_key() == key
