"""What readers in three languages make of the numbers that the server gives them."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from tests.api.support.fixtures import Create

_GO = Path(__file__).parent / "support" / "read_numbers.go"
_NODE = "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8'))))"
_NUMBERS = {
    "whole": "9007199254740993",
    "long": "123456789012345678901234567890",
    "one": "1.0",
    "digits": "0.1000000000000000055511151231257827021181583404541",
    "largest": "1.7976931348623157e308",
    "tiny": "1e-999",
}
_TEXT = "{" + ",".join(f'"{name}":{number}' for name, number in _NUMBERS.items()) + "}"
#: As doubles, whatever their spelling.
_DOUBLES = {name: float(number) for name, number in _NUMBERS.items()}
assert _DOUBLES["whole"] == 2**53


async def _read(
    create: Create, jobs: JobServiceStub, sent: Payload, encoding: int = PAYLOAD_ENCODING_JSON_TEXT
) -> Payload:
    job = await create(input=sent)
    request = pb.GetJobRequest(job_id=job.id, payload_encoding=encoding)  # type: ignore[arg-type]  # any of them
    return (await jobs.GetJob(request)).job.spec.input


async def _lines(text: str, *command: str) -> list[str]:
    """The lines that a program prints that reads the text."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(text.encode())
    assert process.returncode == 0
    return output.decode().splitlines()


def _as_doubles(text: str) -> Any:
    return json.loads(text, parse_int=float)


async def test_text_keeps_every_digit(create: Create, jobs: JobServiceStub) -> None:
    read = await _read(create, jobs, Payload(json_text=_TEXT))
    assert read.json_text == _TEXT
    # Python reads whole numbers exactly, and others as doubles.
    numbers = json.loads(read.json_text)
    assert (numbers["whole"], numbers["long"]) == (2**53 + 1, int(_NUMBERS["long"]))
    assert numbers | {"whole": 2.0**53, "long": _DOUBLES["long"]} == _DOUBLES


async def test_a_struct_has_doubles(create: Create, jobs: JobServiceStub) -> None:
    read = await _read(create, jobs, Payload(json_text=_TEXT), 1)
    assert dict(read.json) == _DOUBLES
    sent = Payload()
    sent.json.update(_DOUBLES)
    assert _as_doubles((await _read(create, jobs, sent)).json_text) == _DOUBLES


async def test_node_reads_doubles(create: Create, jobs: JobServiceStub) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    read = await _read(create, jobs, Payload(json_text=_TEXT))
    (line,) = await _lines(read.json_text, "node", "-e", _NODE)
    assert _as_doubles(line) == _DOUBLES
    assert '"whole":9007199254740992,' in line


@pytest.mark.timeout(120)
async def test_go_reads_doubles_or_digits(create: Create, jobs: JobServiceStub) -> None:
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    read = await _read(create, jobs, Payload(json_text=_TEXT))
    doubles, digits = await _lines(read.json_text, "go", "run", str(_GO))
    assert _as_doubles(doubles) == _DOUBLES
    for name, number in _NUMBERS.items():
        assert f'"{name}":{number}' in digits


async def test_empty_input_is_an_object_in_every_language(
    create: Create, jobs: JobServiceStub
) -> None:
    read = await _read(create, jobs, Payload(json={}))
    assert json.loads(read.json_text) == {}
    if shutil.which("node"):
        assert await _lines(read.json_text, "node", "-e", _NODE) == ["{}"]
