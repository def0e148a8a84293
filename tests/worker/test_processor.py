"""A function becomes a processor and the contract of its queue."""

import json
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import jsonschema_rs
import msgspec
import pytest

from jobsvc.worker import Context, Processor, ProcessorInvalid, RetryPolicy, processor
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.processor import collect
from jobsvc.worker.queue_declaration import declaration
from jobsvc.worker.running_attempt import RunningAttempt
from jobsvc.worker.schema import DIALECT, SchemaInvalid, object_schema


@dataclass
class Article:
    """One article."""

    url: str
    words: int = 0


@dataclass
class Tree:
    name: str
    children: list["Tree"]


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: list[str] = []


class Row(msgspec.Struct, array_like=True):
    x: int


class Point(TypedDict):
    x: float


@processor("news-analyzer", max_leases=2)
async def analyze(article: Article, context: Context) -> Point:
    return {"x": float(article.words)}


def test_processor_is_still_the_function() -> None:
    assert isinstance(analyze, Processor)
    assert analyze.__name__ == "analyze"
    coroutine = analyze(Article("u", 3), Context.for_test())
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    assert end.value.value == {"x": 3.0}


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Article, {"url": "u"}, {"words": 1}),
        (Tree, {"name": "a", "children": [{"name": "b", "children": []}]}, {"name": "a"}),
        (Cat | Dog, {"type": "Cat", "lives": 9}, {"type": "Cow"}),
        (Point, {"x": 1}, {"x": "1"}),
        (dict[str, int], {"a": 1}, {"a": "b"}),
        (dict, {}, []),
    ],
)
def test_schema_is_one_document_with_an_object_at_its_root(
    annotation: Any, good: Any, bad: Any
) -> None:
    schema = object_schema(annotation)
    assert schema["$schema"] == DIALECT
    assert schema["type"] == "object"
    assert "$ref" not in schema
    assert all(ref.startswith("#/$defs/") for ref in references(schema))
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


@pytest.mark.parametrize("annotation", [int, list[int], Row, Article | None, Any, object])
def test_what_is_no_object_is_refused(annotation: Any) -> None:
    with pytest.raises(SchemaInvalid):
        object_schema(annotation)


def test_declares_only_what_the_processor_says() -> None:
    @processor("q")
    def silent(value):  # type: ignore[no-untyped-def]  # on purpose: it says nothing
        return value

    @processor("q", attempt_timeout=60, lease_duration=10.5, retry=RetryPolicy(5, 0.5))
    def talkative(value: Article) -> None:
        """Declares all there is."""

    @processor("q")
    def vague(value: Any) -> Any:
        return value

    assert declaration(bind(silent), False) is None
    assert declaration(bind(vague), False) is None
    request = declaration(bind(talkative), False)
    assert request is not None
    assert list(request.update_mask.paths) == [
        "input_schema",
        "output_schema",
        "attempt_timeout",
        "lease_duration",
        "retry_policy",
    ]
    assert request.allow_missing
    queue = request.queue
    assert queue.lease_duration.ToMilliseconds() == 10_500
    assert queue.retry_policy.max_attempts == 5
    assert queue.retry_policy.initial_backoff.ToMilliseconds() == 500
    assert not queue.retry_policy.HasField("max_backoff")
    assert json.loads(queue.output_schema.json_schema_text)["type"] == "object"


def no_input() -> None: ...
def only_context(context: Context) -> None: ...
def context_first(context: Context, value: dict[str, Any]) -> None: ...
def keyword_only(value: dict[str, Any], *, told: Context) -> None: ...


@pytest.mark.parametrize("function", [no_input, only_context, context_first, keyword_only])
def test_context_and_input_are_optional_and_in_any_order(function: Callable[..., Any]) -> None:
    bound = bind(Processor(function, "q"))
    attempt = RunningAttempt.__new__(RunningAttempt)
    attempt.lease = Context.for_test()._lease
    assert bound.call({}, attempt) is None


def two_inputs(a: dict[str, Any], b: dict[str, Any]) -> None: ...
def several(*a: dict[str, Any]) -> None: ...
def yields(a: dict[str, Any]) -> Iterator[int]:
    yield 1


def unknown(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821  # on purpose
def number(a: int) -> None: ...


@pytest.mark.parametrize("function", [two_inputs, several, yields, unknown, number])
def test_signature_that_cannot_work_is_refused_by_name(function: Callable[..., Any]) -> None:
    with pytest.raises(ProcessorInvalid, match=function.__name__):
        bind(Processor(function, "q"))


def test_processors_are_found_in_modules_each_once() -> None:
    one, two = types.ModuleType("one"), types.ModuleType("two")
    vars(one).update(analyze=analyze, other=1)
    vars(two).update(imported=analyze)
    assert collect([one, two]) == [analyze]


def test_module_without_processor_is_refused() -> None:
    with pytest.raises(ProcessorInvalid, match="module empty has no processor"):
        collect([types.ModuleType("empty")])


def test_two_processors_of_one_queue_are_refused() -> None:
    second = Processor(number, "news-analyzer")
    with pytest.raises(ProcessorInvalid, match="two processors"):
        collect([analyze, second])


@pytest.mark.parametrize("queue", ["", "News", "a_b", "-a", "a-", "a" * 64, "a\n"])
def test_bad_queue_name_is_refused_where_it_is_written(queue: str) -> None:
    with pytest.raises(ProcessorInvalid, match="name of a queue"):
        processor(queue)(number)
