"""What the schema of a Python type takes, as the server checks it, the worker decodes."""

import json
from typing import Any

from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st

from jobsvc.domain.payload import parse_payload
from jobsvc.domain.schema import Schema
from jobsvc.worker import Processor, ProcessorInvalid
from jobsvc.worker.bound_processor import BoundProcessor, bind
from tests.worker.support.types_and_values import ANY_TYPE, Typed, objects


def _bind(annotation: Any) -> BoundProcessor | None:
    def process(value):  # type: ignore[no-untyped-def]  # annotated below
        return value

    process.__annotations__ = {"value": annotation}
    try:
        return bind(Processor(process, "q"))
    except ProcessorInvalid:
        return None


@settings(
    max_examples=50, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(objects(ANY_TYPE), st.data())
def test_what_the_schema_takes_the_worker_decodes(typed: Typed, data: st.DataObject) -> None:
    annotation, values = typed
    bound = _bind(annotation)
    event(f"declared: {bound is not None}")
    assume(bound is not None)
    assert bound is not None
    note(f"{bound.input_schema}")
    schema = Schema(json.dumps(bound.input_schema))
    for text in data.draw(st.lists(values.map(json.dumps), min_size=5, max_size=20)):
        if not text.startswith("{"):
            continue
        taken = not schema.violations(parse_payload(text), "input")
        event(f"taken: {taken}")
        if taken:
            bound.decode(text)
