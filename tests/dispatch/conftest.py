"""The parts of dispatch on a real store, put together as in app.py."""

import pytest

from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.presence import Presence
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import Retirement
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.dispatch.worker_log import WorkerLog
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store


@pytest.fixture
def hints(dsn: str) -> Hints:
    """The hints of a replica, heard by itself alone."""
    return Hints(dsn, "s")


@pytest.fixture
def redelivery(store: Store, hints: Hints) -> Redelivery:
    return Redelivery(store, hints)


@pytest.fixture
def presence(store: Store) -> Presence:
    return Presence(store)


@pytest.fixture
def retirement(store: Store) -> Retirement:
    return Retirement(store)


@pytest.fixture
def dispatcher(
    store: Store,
    hints: Hints,
    redelivery: Redelivery,
    presence: Presence,
    retirement: Retirement,
    settings: Settings,
) -> Dispatcher:
    """A dispatcher that is not running."""
    return Dispatcher(
        store,
        LeaseDuration(Catalog(store.queues), settings.lease_seconds),
        hints,
        redelivery,
        InDoubtClaims(store, redelivery),
        presence,
        WorkerLog(settings.acknowledge_seconds),
        retirement,
        settings,
    )


@pytest.fixture
def unary_leases(
    store: Store,
    hints: Hints,
    redelivery: Redelivery,
    dispatcher: Dispatcher,
    presence: Presence,
    retirement: Retirement,
) -> UnaryLeases:
    return UnaryLeases(store, hints, redelivery, dispatcher, presence, retirement)
