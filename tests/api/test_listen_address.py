"""The server listens on every address that its setting means, or not at all."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from grpc import aio

from jobsvc.api.listen_address import PortTaken, bind
from jobsvc.app import replica
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.support.settings import TEST_SETTINGS

#: Binds to `localhost`, tells the port, and looks where somebody listens on it. ARGV[1] is an
#: address on which somebody listens before.
BINDS = """
import asyncio, socket, sys
from grpc import aio
from jobsvc.api.listen_address import PortTaken, bind

def listens(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as client:
        return client.connect_ex((host, port)) == 0

async def main():
    server = aio.server()
    if sys.argv[1:]:
        taken = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
        taken.bind((sys.argv[1], 0))
        taken.listen()
        port = taken.getsockname()[1]
        try:
            await bind(server, f"localhost:{port}")
        except PortTaken as error:
            print(str(error).replace(str(port), "PORT"))
    else:
        port = await bind(server, "localhost:0")
    print(*(host for host in ("127.0.0.1", "::1") if listens(host, port)))

asyncio.run(main())
"""


def unshared(namespaces: Sequence[str], prepare: str, *arguments: str) -> str:
    """What `BINDS` prints in namespaces of its own, in which `prepare` ran before.

    Skips the test where namespaces cannot be made: not root, or not Linux.
    """
    python = shlex.join([sys.executable, "-c", BINDS, *arguments])
    script = ["unshare", *namespaces, "sh", "-c", f"({prepare}) || exit 99; exec {python}"]
    try:
        done = subprocess.run(script, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def two_hosts(tmp_path: Path) -> str:
    """The command after which `localhost` has an address of each family."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n127.0.0.1 localhost again\n")
    return f"mount --bind {hosts} /etc/hosts"


def test_name_with_two_addresses_is_bound_to_both(two_hosts: str) -> None:
    assert unshared(["--mount"], two_hosts) == "127.0.0.1 ::1\n"


@pytest.mark.parametrize(("taken", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_name_of_which_one_address_is_taken_is_bound_to_none(
    two_hosts: str, taken: str, shown: str
) -> None:
    line = f"cannot listen on localhost:PORT: {shown}:PORT: Address already in use"
    assert unshared(["--mount"], two_hosts, taken) == f"{line}\n{taken}\n"


def test_loopback_that_the_machine_does_not_have_is_left_out(two_hosts: str) -> None:
    prepare = f"ip link set lo up; ip addr del ::1/128 dev lo; {two_hosts}"
    assert unshared(["--mount", "--net"], prepare) == "127.0.0.1\n"


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("no-such-host.invalid:0", ""),
        ("unix:/no/such/folder/socket", "it is taken or not ours"),
        (f"unix:/tmp/{'x' * 200}", "AF_UNIX path too long"),
    ],
)
async def test_address_that_is_of_no_use_says_why(listen: str, why: str) -> None:
    with pytest.raises(PortTaken) as refused:
        await bind(aio.server(), listen)
    assert f"{refused.value}".startswith(f"cannot listen on {listen}: {why}")


async def test_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PortTaken, match=f"cannot listen on {listen}: Address already in use"):
            await bind(aio.server(), listen)


@pytest.mark.parametrize("scheme", ["unix:{}", "unix://{}", "unix-abstract:{}"])
async def test_socket_of_a_path_serves(dsn: str, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "jobs.sock"
    if not scheme.startswith("unix-abstract"):
        # Left behind by a server that was killed.
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(f"{path}")
            dead.listen()
    listen = scheme.format(path)
    async with replica(dsn, replace(TEST_SETTINGS, listen=listen)) as running:
        assert running.port == 0
        async with aio.insecure_channel(listen) as channel:
            await QueueServiceStub(channel).ListQueues(queue_pb.ListQueuesRequest())
        with pytest.raises(PortTaken, match="a server is listening there"):
            await bind(aio.server(), listen)
        async with aio.insecure_channel(listen) as channel:
            await QueueServiceStub(channel).ListQueues(queue_pb.ListQueuesRequest())
    assert not path.exists()
