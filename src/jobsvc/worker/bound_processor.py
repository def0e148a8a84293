"""A processor ready to run: its signature read, its types turned into a decoder and schemas."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_type_hints

import msgspec

from jobsvc.worker.context import Context
from jobsvc.worker.processor import AnyProcessor, ProcessorInvalid
from jobsvc.worker.running_attempt import RunningAttempt
from jobsvc.worker.schema import decoder, object_schema
from jobsvc.worker.schema_writer import Schema, SchemaInvalid


@dataclass(frozen=True, slots=True)
class BoundProcessor:
    """A processor, and how to call it.

    `decode` turns JSON text into the input. `call` takes the input and the
    attempt and returns the function's result: an awaitable if `is_async`.
    A schema is None where the signature gives no type.
    """

    # Any, here and below: inputs and outputs have types of the developer's own.
    processor: AnyProcessor
    is_async: bool
    decode: Callable[[str], Any]
    call: Callable[[Any, RunningAttempt], Any]
    input_schema: Schema | None
    output_schema: Schema | None


def bind(processor: AnyProcessor) -> BoundProcessor:
    """Reads the signature of a processor.

    Raises:
        ProcessorInvalid: the function is a generator, takes anything but an
            input and a context, or has types that do not make JSON objects.
    """
    function: Callable[..., Any] = processor.function
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise ProcessorInvalid(f"{processor.name} must return its output, not yield it")
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise ProcessorInvalid(
            f"{processor.name}: unknown type in its signature: {error}"
        ) from None
    parameters = list(inspect.signature(function).parameters.values())
    contexts = [p for p in parameters if hints.get(p.name) is Context or p.name == "context"]
    inputs = [p for p in parameters if p not in contexts]
    if len(contexts) > 1 or len(inputs) > 1 or not all(map(_is_plain, parameters)):
        raise ProcessorInvalid(
            f"{processor.name} must take one input and, if it likes, a context: Context"
        )
    try:
        input_schema = None
        decode: Callable[[str], Any] = msgspec.json.Decoder(dict[str, Any]).decode
        if inputs and hints.get(inputs[0].name, Any) is not Any:
            input_type = hints[inputs[0].name]
            input_schema = object_schema(input_type)
            decode = decoder(input_type)
        output_schema = None
        returned = hints.get("return", Any)
        if returned is not Any:
            # A value of a type may have more keys than the type names: a subclass's, say.
            output_schema = object_schema(dict if returned is NoneType else returned, closed=False)
    except SchemaInvalid as error:
        raise ProcessorInvalid(f"{processor.name}: {error}") from None
    return BoundProcessor(
        processor=processor,
        is_async=inspect.iscoroutinefunction(function),
        decode=decode,
        call=_caller(
            function,
            inputs[0].name if inputs else None,
            contexts[0].name if contexts else None,
        ),
        input_schema=input_schema,
        output_schema=output_schema,
    )


def _is_plain(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )


def _caller(
    function: Callable[..., Any], input_name: str | None, context_name: str | None
) -> Callable[[Any, RunningAttempt], Any]:
    if input_name and context_name:
        return lambda value, attempt: function(
            **{input_name: value, context_name: Context(attempt)}
        )
    if input_name:
        return lambda value, attempt: function(**{input_name: value})
    if context_name:
        return lambda value, attempt: function(**{context_name: Context(attempt)})
    return lambda value, attempt: function()
