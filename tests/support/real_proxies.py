"""nginx and HAProxy as people put them before a server, with the limits they have by default."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.probe import blocking_eventually

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

_NGINX = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/log;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} http2;
        location / {{ grpc_pass grpc://{upstream}; }}
    }}
}}
"""
_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen jobsvc
    bind 127.0.0.1:{port} proto h2
    server one {upstream} proto h2
"""
KINDS = ("nginx", "haproxy")


@contextmanager
def real_proxy(kind: str, upstream: str, folder: Path) -> Iterator[str]:
    """Runs a proxy before the server at `upstream` while the block does; yields its address.

    Skips the test where the proxy is not installed.
    """
    program = shutil.which(kind, path=_PATH)
    if program is None:
        pytest.skip(f"{kind} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / f"{kind}.conf"
    template = _NGINX if kind == "nginx" else _HAPROXY
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        template.format(folder=folder, port=port, upstream=upstream, user=user)
    )
    arguments = ["-e", folder / "log", "-c"] if kind == "nginx" else ["-db", "-f"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, *arguments, configuration], stdout=output, stderr=output
        )
    try:
        blocking_eventually(lambda: _listens(process, port), seconds=10, what=kind)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None, "the proxy has ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
