"""Which connection a long call goes to."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.client.long_calls import MAX_CALLS, LongCallChannel, LongCalls, stream_seconds


class Opened:
    """Counts the channels that are opened, which are numbers."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


def test_no_channel_is_opened_before_the_first_call() -> None:
    opened = Opened()
    calls = LongCalls(opened, 100)
    assert opened.count == 0
    calls.take(now=0)
    assert opened.count == 1


def test_channel_takes_90_calls_and_the_next_one_opens_another() -> None:
    calls = LongCalls(Opened(), 100)
    taken = [calls.take(now=0) for _ in range(MAX_CALLS + 1)]
    assert [each.channel for each in taken] == [1] * 90 + [2]
    assert calls.release(taken[0], now=1) == []
    assert calls.take(now=1).channel == 1


def test_one_channel_without_calls_is_kept() -> None:
    calls = LongCalls(Opened(), 100, max_calls=1)
    first, second, third = (calls.take(now=0) for _ in range(3))
    assert calls.release(first, now=1) == []
    assert calls.release(second, now=1) == [2]
    assert calls.release(third, now=1) == [3]
    assert calls.take(now=1).channel == 1
    assert calls.clear() == [1]


def test_old_channel_without_calls_is_closed() -> None:
    calls = LongCalls(Opened(), 100)
    old = calls.take(now=0)
    new = calls.take(now=80)
    assert (old.channel, new.channel) == (1, 2)
    assert calls.release(old, now=80) == [1]
    assert calls.release(new, now=81) == []


def test_call_that_ends_after_the_client_was_closed_closes_nothing() -> None:
    calls = LongCalls(Opened(), 100)
    taken = calls.take(now=0)
    assert calls.clear() == [1]
    assert calls.release(taken, now=0) == []


def test_channels_without_an_age_are_never_old() -> None:
    calls = LongCalls(Opened(), inf, inf)
    assert {calls.take(now=10.0**n).channel for n in range(20)} == {1}


@given(age=st.floats(1e-3, 1e6), begins=st.floats(0, 10), draw=st.floats(-1, 1))
def test_stream_that_is_old_gets_another_channel(age: float, begins: float, draw: float) -> None:
    calls = LongCalls(Opened(), age)
    calls.take(now=0)
    stream = calls.take(now=begins)
    old_at = begins + stream_seconds(age, draw)
    assert old_at >= begins + age * 0.79
    calls.release(stream, old_at)
    assert calls.take(now=old_at * 1.0001).channel != stream.channel


@given(
    st.lists(
        st.one_of(
            st.just("take"),
            st.integers(0, 20).map(lambda index: f"release {index}"),
            st.just("age"),
        ),
        max_size=60,
    )
)
def test_no_channel_in_use_is_closed_and_none_is_overfull(steps: list[str]) -> None:
    opened, closed = Opened(), list[int]()
    calls = LongCalls(opened, 100, max_calls=3)
    under_way: list[LongCallChannel[int]] = []
    now = 0.0
    for step in steps:
        name, _, index = step.partition(" ")
        if name == "take":
            under_way.append(calls.take(now))
        elif name == "age":
            now += 50
        elif under_way:
            closed += calls.release(under_way.pop(int(index) % len(under_way)), now)
        in_use = [each.channel for each in under_way]
        assert not set(in_use) & set(closed)
        assert max(map(in_use.count, in_use), default=0) <= 3
        assert opened.count - len(closed) <= len(set(in_use)) + 1
    for each in under_way:
        closed += calls.release(each, now)
    assert sorted(closed + calls.clear()) == list(range(1, opened.count + 1))
