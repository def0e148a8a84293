"""What a client under test has printed. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from jobsvc.conformance.payloads import JsonObject

_PREFIX = "JOB_STATE_"


@dataclass(frozen=True, slots=True)
class CallOutput:
    """The statuses that a client has passed on, and how the job ended by its words."""

    #: Version and state of each, in order.
    statuses: list[tuple[int, str]]
    #: The last state; empty if there is none.
    state: str
    #: None if it has printed none.
    output: JsonObject | None


def read_output(text: str) -> CallOutput:
    """Reads lines of JSON; lines of other kinds are passed over."""
    statuses, state, output = list[tuple[int, str]](), "", None
    for line in text.splitlines():
        fields = _object(line)
        if fields is None:
            continue
        if "state" in fields:
            state = str(fields["state"]).removeprefix(_PREFIX)
        if "version" in fields and "state" in fields:
            statuses.append((_number(fields["version"]), state))
        if fields.get("output") is not None:
            value = fields["output"]
            output = value if isinstance(value, dict) else _object(str(value))
    return CallOutput(statuses, state, output)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> int:
    # int64 is a string in the JSON form of protobuf.
    try:
        return int(str(value))
    except ValueError:
        return -1
