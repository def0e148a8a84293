"""Which connection a long call (WaitJob, StreamJobStatus) goes to, and for how long.

They have connections of their own. A proxy takes few calls at a time on one (HAProxy 100, nginx
128) and lets further ones wait without a word; and a load balancer chooses a replica only when
a connection is made. No I/O: the clock's reading comes in, and what is to be closed goes out.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

#: Maximum of long calls on one connection.
MAX_CALLS = 90
#: Share by which the age of a stream is spread either way.
SPREAD = 0.2

C = TypeVar("C")


class StreamAged(Exception):
    """The stream is to be opened again on another connection. Nothing is wrong with it."""


def stream_seconds(age_seconds: float, draw: float) -> float:
    """Returns how long a stream may last; `draw` is a random number from -1 to 1."""
    return age_seconds * (1 + SPREAD * draw)


@dataclass(slots=True, eq=False)
class LongCallChannel(Generic[C]):
    """A channel, and how many long calls there are on it."""

    channel: C
    #: From then on it takes no more calls.
    retires_at: float
    calls: int = 0


class LongCalls(Generic[C]):
    """Gives each long call a channel, and opens more with `open_channel` as they are needed.

    A channel takes calls until it is 0.8 `age_seconds` old, which is before the first stream on
    it is: so a stream that is opened again gets another one. At most one channel without calls is
    kept. Any thread.
    """

    def __init__(
        self, open_channel: Callable[[], C], age_seconds: float, max_calls: float = MAX_CALLS
    ) -> None:
        self._open_channel = open_channel
        self._young_seconds = stream_seconds(age_seconds, -1)
        self._max_calls = max_calls
        self._channels: list[LongCallChannel[C]] = []
        self._lock = threading.Lock()

    def take(self, now: float) -> LongCallChannel[C]:
        """Returns the channel of a call that begins now. To be released when the call has ended."""
        with self._lock:
            # The oldest with room, so that the others fall empty.
            for taken in self._channels:
                if taken.calls < self._max_calls and now < taken.retires_at:
                    break
            else:
                taken = LongCallChannel(self._open_channel(), now + self._young_seconds)
                self._channels.append(taken)
            taken.calls += 1
            return taken

    def release(self, taken: LongCallChannel[C], now: float) -> list[C]:
        """Notes that a call has ended. Returns the channels to be closed."""
        with self._lock:
            taken.calls -= 1
            empty = [each for each in self._channels if not each.calls]
            kept = next((each for each in empty if now < each.retires_at), None)
            closed = [each for each in empty if each is not kept]
            self._channels = [each for each in self._channels if each not in closed]
            return [each.channel for each in closed]

    def clear(self) -> list[C]:
        """Forgets all channels. Returns them, to be closed."""
        with self._lock:
            channels, self._channels = self._channels, []
            return [each.channel for each in channels]
