"""A port that cannot be bound although nobody listens there says why."""

import re
import socket
import sys

import pytest
from grpc import aio

from jobsvc.api.listen_address import PortTaken, bind
from jobsvc.api.port_holder import find_holder

ROWS = """
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:9C40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:9C42 0100007F:9C42 06 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:9C44 0500000A:1538 01 00000000:00000000 00:00000000 00000000     0
   3: 0100007F:9C40 0500000A:1538 01 00000000:00000000 00:00000000 00000000     0
   4: 0000000000000000FFFF00000100007F:9C46 0000000000000000FFFF00000100007F:9C46 06 0
   5: 00000000000000000000000001000000:9C48 00000000000000000000000001000000:0050 01 0
""".splitlines()

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    ("port", "holder"),
    [
        (40000, ""),  # a server, with a connection
        (40002, "reached itself"),
        (40004, "by a connection with 10.0.0.5:5432"),
        (40006, "reached itself"),
        (40008, r"by a connection with \[::1\]:80"),
        (40010, ""),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="the rows are from such a machine")
def test_connection_that_holds_the_port_is_found(port: int, holder: str) -> None:
    assert re.search(holder or "^$", find_holder(ROWS, port))


@only_linux
async def test_connection_that_reached_itself_is_named() -> None:
    with socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        client.connect(client.getsockname())
        listen = f"127.0.0.1:{client.getsockname()[1]}"
        with pytest.raises(PortTaken, match=r"reached itself\. .* \(net.ipv4.ip_local_port_r"):
            await bind(aio.server(), listen)


@only_linux
async def test_connection_to_another_server_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        listen = f"127.0.0.1:{client.getsockname()[1]}"
        peer = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(PortTaken, match=f"by a connection with {peer}"):
            await bind(aio.server(), listen)
