"""The horizon of readings: no change escapes them, whatever commits when."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobsvc.domain.read_horizon import ReadHorizon, Snapshot

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG = timedelta(days=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class World:
    """Transactions with their numbers, the times that they write, and whether they have ended."""

    def __init__(self) -> None:
        self.now = 0.0
        self.open: set[int] = set()
        #: Number and time of each change that was committed, in the order of commits.
        self.committed: list[tuple[int, datetime]] = []
        self.next_number = 1
        self._times: dict[int, datetime] = {}

    def begin(self) -> None:
        """A transaction gets its number, and writes the time a little later."""
        self.now += 0.1
        self._times[self.next_number] = at(self.now)
        self.open.add(self.next_number)
        self.next_number += 1

    def commit(self, which: int) -> None:
        self.now += 0.1
        number = sorted(self.open)[which % len(self.open)]
        self.open.remove(number)
        self.committed.append((number, self._times[number]))

    def snapshot(self) -> Snapshot:
        self.now += 0.1
        return Snapshot(at(self.now), min(self.open, default=self.next_number), self.next_number)


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.just("begin"), st.just("read"), st.tuples(st.just("commit"), st.integers(0, 9))
        ),
        max_size=60,
    )
)
def test_every_change_is_read(steps: list[object]) -> None:
    world = World()
    horizon = ReadHorizon(world.snapshot(), timedelta(0), LONG)
    read: set[int] = set()
    for step in [*steps, "read"]:
        match step:
            case "begin":
                world.begin()
            case "read":
                snapshot = world.snapshot()
                read |= {n for n, time in world.committed if time >= horizon.since}
                horizon.has_read(snapshot)
            case (_, int(which)) if world.open:
                world.commit(which)
            case _:
                pass
    assert read >= {number for number, _ in world.committed}


def test_without_open_transactions_little_is_read_again() -> None:
    horizon = ReadHorizon(Snapshot(at(0), 5, 5), timedelta(seconds=5), LONG)
    assert horizon.since == at(-6)
    horizon.has_read(Snapshot(at(10), 7, 7))
    assert horizon.since == at(9)
    horizon.has_read(Snapshot(at(11), 9, 9))
    assert horizon.since == at(10)


def test_what_an_open_transaction_may_have_written_is_read_again() -> None:
    horizon = ReadHorizon(Snapshot(at(0), 5, 5), timedelta(0), LONG)
    # Number 7 runs through three readings.
    for seconds, number in ((10, 8), (11, 20), (12, 30)):
        horizon.has_read(Snapshot(at(seconds), 7, number))
        assert horizon.since == at(-1)
    horizon.has_read(Snapshot(at(13), 30, 30))
    assert horizon.since == at(12)


def test_transactions_of_others_keep_no_more_than_the_most_in_sight() -> None:
    horizon = ReadHorizon(Snapshot(at(0), 5, 5), timedelta(0), timedelta(seconds=60))
    for seconds in range(1, 1000):
        horizon.has_read(Snapshot(at(seconds), 5, 5 + seconds))
        assert horizon.since >= at(seconds - 61)
