"""The rules that comments of the contract state, one table: compared with the comments, and with
what the server refuses, by every call that takes the field."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from jobsvc.domain.job_control import CHANGEABLE
from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2, worker_service_pb2
from tests.api.support.field_facts import FACTS, PLAIN
from tests.api.support.field_rules import LEASE, RULES
from tests.api.support.refused_fields import refused_fields
from tests.api.support.value_rules import ID, Below
from tests.support.proto_comments import comments

COMMENTS = comments()
METHODS = {
    f"{service.name}/{method.name}": method
    for file in (job_service_pb2, worker_service_pb2, queue_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OURS = {
    message
    for file in (job_pb2, job_service_pb2, worker_service_pb2, queue_service_pb2)
    for message in file.DESCRIPTOR.message_types_by_name.values()
}
#: A number, a pattern, or the words of a rule that has none.
_RULE = re.compile(r"\d|`\^|UUID|[Nn]ot negative|control characters")
#: Names that have a digit, or an example of a value.
_QUOTED = re.compile(r"`[^`^][^`]*`")


def _rest(name: str) -> str:
    """What a comment says besides the words of the tables."""
    text = COMMENTS[name]
    for words in [*(rule.words for rule in RULES.get(name, ())), *FACTS.get(name, ())]:
        text = text.replace(words, "…", 1) if words else text
    text = _QUOTED.sub("", text)
    for words in PLAIN:
        text = text.replace(words, "")
    return text


def test_every_sentence_of_the_tables_is_in_its_comment() -> None:
    missing = {
        (name, words)
        for name in (*RULES, *FACTS)
        for words in [*(rule.words for rule in RULES.get(name, ())), *FACTS.get(name, ())]
        if words not in COMMENTS[name]
    }
    assert missing == set()


def test_every_number_of_a_comment_is_in_the_tables() -> None:
    assert {name: rest for name in COMMENTS if _RULE.search(rest := _rest(name))} == {}


#: Fields that make a message break no other rule, by the name of the message.
VALID: dict[str, dict[str, Any]] = {
    "JobSpec": {"queue": "q"},
    "JobError": {"code": 2},
    "CreateJobRequest": {"spec": {"queue": "q"}},
    "SubmitJob": {"tag": 1, "request": {"spec": {"queue": "q"}, "request_id": ID}},
    "BulkJobsRequest": {"filter": {}, "cancel": {}, "validate_only": True},
    "Queue": {"name": "q"},
    "WorkerInfo": {"worker_id": "w"},
    "QueueSubscription": {"queue": "q"},
    "Subscribe": {"worker": {"worker_id": "w"}, "queues": [{"queue": "q"}]},
    "LeaseJobsRequest": {"worker": {"worker_id": "w"}, "queues": ["q"]},
    "LeaseExtension": {"lease_id": LEASE},
    "ExtendLeasesRequest": {"extensions": [{"lease_id": LEASE}]},
    "JobOutcome": {"lease_id": LEASE, "release": {}},
    "JobFailure": {"error": {"code": 2}},
    "ReportOutcomesRequest": {"outcomes": [{"lease_id": LEASE, "release": {}}]},
    "StreamJobStatusRequest": {"job_ids": [ID]},
    "BulkUpdate": {"spec": {"priority": 1}},
    "UpdateJobRequest": {"job_id": ID, "spec": {"priority": 1}},
    "GetQueueHistoryRequest": {"queue": "q"},
    "DrainWorkerRequest": {"worker_id": "w"},
    **{
        f"{name}Request": {"job_id": ID}
        for name in ("GetJob", "WaitJob", "CancelJob", "RetryJob", "DeleteJob")
    },
    **{f"{name}BulkOperationRequest": {"operation_id": ID} for name in ("Get", "Wait", "Stop")},
    **{
        f"{name}QueueRequest": {"name": "q"}
        for name in ("Get", "Delete", "Pause", "Resume", "Purge")
    },
}
#: Read as far as its fields can be changed.
CHANGES = {"UpdateJobRequest.spec", "BulkUpdate.spec"}
#: On `Work` a report says nothing of its worker, and a lease id that no server has made is lost.
LENIENT = {
    "ReportOutcomesRequest.worker_id",
    "ReportOutcomesRequest.succeeded_lease_ids",
    "JobOutcome.lease_id",
}

Steps = tuple[FieldDescriptor, ...]


def _steps(message: Descriptor, before: Steps = ()) -> Iterator[Steps]:
    """The way to each field with a rule that is read."""
    changeable = CHANGEABLE if before and _name(before) in CHANGES else ()
    for field in message.fields:
        if changeable and field.name not in changeable:
            continue
        steps = (*before, field)
        if f"{message.name}.{field.name}" in RULES:
            yield steps
        inner = field.message_type
        if inner is not None and inner in OURS:
            yield from _steps(inner, steps)


def _name(steps: Steps) -> str:
    return f"{steps[-1].containing_type.name}.{steps[-1].name}"


def _path(steps: Steps, value: Any) -> str:
    names = [f"{s.name}[0]" if s.is_repeated else s.name for s in steps[:-1]]
    return ".".join([*names, steps[-1].name]) + (value.item if isinstance(value, Below) else "")


def _put(message: Message, steps: Steps, value: Any) -> None:
    """Makes a message on the way valid, and sets the field at its end."""
    step, *rest = steps
    if rest:
        inner = getattr(message, step.name)
        valid = VALID.get(step.message_type.name, {})
        if step.is_repeated:
            inner = inner[0] if len(inner) else ParseDict(valid, inner.add())
        elif not message.HasField(step.name):
            inner.SetInParent()
            ParseDict(valid, inner)
        _put(inner, tuple(rest), value)
        return
    value = value.value if isinstance(value, Below) else value
    if isinstance(value, Message):
        getattr(message, step.name).CopyFrom(value)
    elif isinstance(value, dict):
        getattr(message, step.name).update(value)
    elif isinstance(value, list):
        message.ClearField(step.name)
        getattr(message, step.name).extend(value)
    else:
        setattr(message, step.name, value)


def _request(method: MethodDescriptor, steps: Steps, value: Any) -> Any:
    kind = method.input_type
    request = ParseDict(VALID.get(kind.name, {}), GetMessageClass(kind)())
    _put(request, steps, value)
    return request


def _ways(name: str) -> list[Steps]:
    return [
        steps
        for steps in _steps(METHODS[name].input_type)
        if not (name == "WorkerService/Work" and _name(steps) in LENIENT)
    ]


def _is_of(path: str, refused: str) -> bool:
    """Whether a refused path is that of the field, or of an item of it."""
    return refused == path or (refused.startswith(f"{path}[") and refused.endswith("]"))


def test_every_rule_is_tried() -> None:
    assert {_name(steps) for name in METHODS for steps in _ways(name)} == RULES.keys()


@pytest.mark.parametrize("name", METHODS)
async def test_values_at_the_bounds_are_taken_and_those_beyond_are_named(
    channel: aio.Channel, queue: str, name: str
) -> None:
    method = METHODS[name]
    wrong = []
    for steps in _ways(name):
        for rule in RULES[_name(steps)]:
            tries = [(value, False) for value in rule.within]
            tries += [(value, True) for value in rule.beyond]
            for value, is_refused in tries:
                found = await refused_fields(channel, method, _request(method, steps, value))
                path = _path(steps, value)
                if found != [path] if is_refused else any(_is_of(path, f) for f in found):
                    wrong.append(f"{path} = {str(value)[:50]!r} ({is_refused}): {found}")
    assert wrong == []
