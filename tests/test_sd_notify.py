"""What a service manager hears, by a socket as systemd's."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobsvc.sd_notify import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name if request.param == "path" else f"\0{name}")
        receiver.setblocking(False)
        yield receiver


def address(receiver: socket.socket) -> str:
    """Its address as NOTIFY_SOCKET has it."""
    name = receiver.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)


def all_heard(receiver: socket.socket) -> list[str]:
    """The datagrams since the last look."""
    datagrams = []
    while True:
        try:
            datagrams.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return datagrams


def test_assignments_arrive_in_one_datagram(heard: socket.socket) -> None:
    manager = ServiceManager(address(heard))
    manager.tell("READY=1", status="serving\n STOPPING=1")
    manager.tell(status="draining")
    assert all_heard(heard) == ["READY=1\nSTATUS=serving STOPPING=1", "STATUS=draining"]


def test_variables_are_taken_from_the_environment(heard: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": address(heard), "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}
    manager = ServiceManager.take_from(environment)
    assert environment == {}, "child processes would speak for this one"
    manager.tell("READY=1")
    assert all_heard(heard) == ["READY=1"]


def test_reload_has_a_begin_and_an_end_whatever_happens(heard: socket.socket) -> None:
    manager = ServiceManager(address(heard))
    manager.tell("READY=1")
    assert all_heard(heard) == ["READY=1"]
    before = time.monotonic_ns() // 1000

    def action() -> None:
        (begin,) = all_heard(heard)
        reloading, _, microseconds = begin.partition("\nMONOTONIC_USEC=")
        assert reloading == "RELOADING=1"
        assert before <= int(microseconds) <= time.monotonic_ns() // 1000
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        manager.reload(action)
    assert all_heard(heard) == ["READY=1"]


def test_reload_does_not_say_ready_of_who_is_not(heard: socket.socket) -> None:
    manager = ServiceManager(address(heard))
    reloads: list[str] = []
    manager.reload(lambda: reloads.append("while it starts"))
    assert all_heard(heard) == []
    manager.tell("READY=1")
    manager.tell("STOPPING=1")
    all_heard(heard)
    manager.reload(lambda: reloads.append("while it drains"))
    assert all_heard(heard) == []
    assert reloads == ["while it starts", "while it drains"]


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    ServiceManager().tell("READY=1")
    ServiceManager(str(tmp_path / "gone")).tell("READY=1")


async def test_pings_come_twice_as_often_as_asked_for_and_from_the_loop(
    heard: socket.socket,
) -> None:
    environment = {
        "NOTIFY_SOCKET": address(heard),
        "WATCHDOG_USEC": "200000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    pinging = asyncio.create_task(ServiceManager.take_from(environment).ping())
    await asyncio.sleep(1.05)  # Long enough for ten pings.
    assert 5 <= len(pings := all_heard(heard)) <= 11
    assert set(pings) == {"WATCHDOG=1"}
    time.sleep(0.5)  # noqa: ASYNC251  # A loop that is blocked sends none.
    assert all_heard(heard) == []
    pinging.cancel()


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "20", "WATCHDOG_PID": "1"},
    ],
)
async def test_who_is_not_watched_sends_no_pings(
    heard: socket.socket, watchdog: dict[str, str]
) -> None:
    manager = ServiceManager.take_from({"NOTIFY_SOCKET": address(heard), **watchdog})
    await asyncio.wait_for(manager.ping(), 5)
    assert all_heard(heard) == []
