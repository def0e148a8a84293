"""Importing the client or the commands must not import more than they need."""

import subprocess
import sys

PROGRAM = """
import sys
import jobsvc.client
unwanted = {"asyncpg", "jobsvc.store", "jobsvc.api", "jobsvc.dispatch", "jobsvc.embedded", "rich",
            "typer", "opentelemetry.sdk"}
print(*sorted(unwanted & sys.modules.keys()))
"""


def test_the_client_does_without_the_server() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == ""


def test_the_commands_start_without_grpc() -> None:
    program = "import sys, jobsvc.cli; print('grpc' in sys.modules, 'rich.live' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.split()[0] == "False"
