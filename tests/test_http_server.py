"""The HTTP listener answers its paths, and no slow client takes it from the others."""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from jobsvc.http_server import Answer, HttpListenFailed, http_server
from jobsvc.server_process import Probes
from tests.support.probe import eventually


@pytest.fixture
def port() -> Iterator[int]:
    paths = {"/ok": lambda: Answer(b"fine\n"), "/bad": lambda: Answer(b"not fine\n", is_ok=False)}
    with http_server("127.0.0.1:0", paths) as found:
        yield found


def ask(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    response: HTTPResponse = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_paths_are_answered(port: int) -> None:
    assert ask(port, "/ok") == (200, b"fine\n")
    assert ask(port, "/ok?x=1") == (200, b"fine\n")
    assert ask(port, "/bad") == (503, b"not fine\n")
    assert ask(port, "/ok", "HEAD") == (200, b"")
    assert ask(port, "/other")[0] == 404
    assert ask(port, "/ok", "POST")[0] == 501


def threads() -> int:
    """Threads that serve a connection."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def test_silent_clients_are_bounded_and_do_not_stay(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    try:
        peak, left = 0, set(silent)
        while left:
            peak = max(peak, threads())
            closed, _, _ = select.select(left, [], [], 0.01)
            assert all(client.recv(1) == b"" for client in closed)
            left -= set(closed)
        assert 0 < peak <= 16
        assert ask(port, "/ok") == (200, b"fine\n")
    finally:
        for client in silent:
            client.close()


def test_address_that_is_taken_is_named_in_one_sentence(port: int) -> None:
    said = f"JOBSVC_HTTP_LISTEN.*{port}: Address"
    with pytest.raises(HttpListenFailed, match=said), http_server(f"127.0.0.1:{port}", {}):
        pass


async def test_blocked_loop_is_not_alive() -> None:
    probes = Probes(asyncio.get_running_loop(), live_seconds=0.2)
    with http_server("127.0.0.1:0", {"/livez": probes.is_live}) as port:
        assert await asyncio.to_thread(ask, port, "/livez") == (200, b"ok\n")
        found: list[tuple[int, bytes]] = []
        thread = threading.Thread(target=lambda: found.append(ask(port, "/livez")))
        thread.start()
        time.sleep(1.0)  # noqa: ASYNC251  # the defect that must be seen
        await eventually(lambda: found)
        thread.join()
    assert found == [(503, b"the event loop does not answer\n")]


async def test_without_a_replica_it_is_not_ready() -> None:
    probes = Probes(asyncio.get_running_loop())
    assert probes.is_ready() == Answer(b"waiting for the database\n", is_ok=False)
