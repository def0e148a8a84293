"""JSON Schemas of queues: compiled once, applied to payloads."""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jsonschema_rs
import msgspec

from jobsvc.domain.errors import Violation
from jobsvc.domain.formats import FORMATS
from jobsvc.domain.limits import MAX_VIOLATIONS
from jobsvc.domain.payload import MAX_WRITTEN_OUT, written_out_bytes
from jobsvc.domain.schema_cost import MAX_STEPS, schema_cost
from jobsvc.domain.schema_graph import TooCostly
from jobsvc.domain.schema_rewrite import IS_NOT, briefly, by_bounds, by_tag

#: From this size on, finding every violation can take 10 ms and more.
_LARGE_CHARACTERS = 4096
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UNKNOWN_KEYS = (
    jsonschema_rs.ValidationErrorKind.AdditionalProperties,
    jsonschema_rs.ValidationErrorKind.UnevaluatedProperties,
)
#: A schema must do for payloads of this size at least.
_LEAST_BYTES = 16 * 1024
#: A check of more steps takes milliseconds.
_SHORT_STEPS = 200_000
#: Every violation is looked for if that takes so many steps at most.
_EVERY_STEPS = 100_000
#: Linear in the text, whatever the expression: no look-around and no back-references.
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=4 * 1024 * 1024, dfa_size_limit=512 * 1024)


class SchemaInvalid(Exception):
    """The definition is no JSON Schema that the server takes. The text of the error says why, and
    `place` where: a path below the definition."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.place = place


class Schema:
    """A compiled JSON Schema, draft 2020-12, whose `$ref`s stay inside the document.

    `max_bytes` is the size of the largest payload that it can be applied to.
    """

    def __init__(self, definition: str, max_steps: int = MAX_STEPS) -> None:
        """Compiles a definition (JSON text), so that no check takes more than `max_steps`.

        This is work for a thread: of a large definition it takes up to a second, in which other
        threads run, but for parts of 50 ms.

        Raises:
            SchemaInvalid: it is no schema, has a `$ref` to another document or a regular
                expression that cannot be run in linear time, or a check by it would cost too much.
        """
        try:
            self._document = msgspec.json.decode(definition)
        except (msgspec.DecodeError, RecursionError) as error:
            raise SchemaInvalid(f"is not JSON: {error}") from error
        # Another dialect would be misread; an unknown one would be fetched over the network.
        document = self._document if isinstance(self._document, dict) else {}
        if document.get("$schema", _DIALECT) not in (_DIALECT, _DIALECT + "#"):
            raise SchemaInvalid(f"$schema must be {_DIALECT}, or left out")
        try:
            jsonschema_rs.meta.validate(self._document)
            self._document = by_bounds(by_tag(self._document))
            cost = schema_cost(self._document)
            self.max_bytes = cost.max_bytes(max_steps)
            if self.max_bytes < _LEAST_BYTES:
                raise SchemaInvalid(
                    f"may take {cost.per_byte:.0f} steps for each byte of a payload, more than"
                    f" {max_steps // _LEAST_BYTES}; have fewer sub-schemas, and shorter patterns,"
                    " apply to one value"
                )
            self._short_bytes = cost.max_bytes(_SHORT_STEPS)
            self._max_steps = max_steps
            self._explained_per_byte = cost.explained_per_byte
            self._validator = _compile(self._document)
        except TooCostly as error:
            raise SchemaInvalid(f"{error}", error.place) from None
        except jsonschema_rs.ValidationError as error:
            why = error.message[:500]
            if error.kind.name == "format":
                why += " that can be run in linear time: no look-around, no back-references"
            raise SchemaInvalid(why, _place(error)) from error
        except (jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaInvalid(f"{error}"[:500]) from error
        except (TypeError, AttributeError) as error:
            # What the metaschema has not seen is met by a reference only.
            raise SchemaInvalid("has a reference to what is no schema") from error

    def may_take_long(self, text: str) -> bool:
        """Whether to check a payload may take milliseconds."""
        return len(text) > self._short_bytes

    def violations(self, payload: dict[str, Any], path: str, text: str = "") -> list[Violation]:
        """Returns up to 20 violations of a payload, each with its path below `path`.

        Only the first if its `text` is large or the schema costly, since finding all takes long.
        """
        size = len(text)
        if MAX_WRITTEN_OUT * size > self.max_bytes:
            size = written_out_bytes(text)
            if size > self.max_bytes:
                why = f"must have at most {self.max_bytes} bytes for its schema"
                return [Violation(path, f"{why}, numbers written out without exponents")]
        if self._validator.is_valid(payload):
            return []
        found: list[Violation] = []
        for error in self._errors(payload, size):
            found += _told(error, path)
            if len(found) >= MAX_VIOLATIONS:
                break
        if not found:
            return [Violation(path, "does not fit the schema; the place cannot be told")]
        return found[:MAX_VIOLATIONS]

    def _errors(
        self, payload: dict[str, Any], size: int
    ) -> Iterator[jsonschema_rs.ValidationError]:
        steps = size * self._explained_per_byte
        if self._explainer is None or steps > self._max_steps / 4:
            return
        if size <= _LARGE_CHARACTERS and steps <= _EVERY_STEPS:
            yield from self._explainer.iter_errors(payload)
            return
        try:
            self._explainer.validate(payload)
        except jsonschema_rs.ValidationError as error:
            yield error

    @cached_property
    def _explainer(self) -> jsonschema_rs.Draft202012Validator | None:
        """Finds violations; None if that takes references that lead into alternatives."""
        try:
            return _compile(briefly(self._document))
        except (jsonschema_rs.ReferencingError, jsonschema_rs.ValidationError, ValueError):
            return None


class RefusedSchema:
    """A schema on record that this server does not take, because of `why`: nothing fits it."""

    def __init__(self, why: str) -> None:
        self.why = why

    def may_take_long(self, text: str) -> bool:
        """It does not."""
        return False

    def violations(self, payload: dict[str, Any], path: str, text: str = "") -> list[Violation]:
        """Returns the one violation: what is wrong with the schema."""
        return [Violation(path, f"cannot be checked: the schema of the queue {self.why}"[:500])]


def compile_recorded(definition: str) -> Schema | RefusedSchema:
    """Compiles a schema that a server accepted, maybe one of another version."""
    try:
        return Schema(definition)
    except SchemaInvalid as defect:
        return RefusedSchema(f"{defect.place[1:]} {defect}".strip())


def _compile(document: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        document,
        retriever=_refuse,
        pattern_options=_PATTERNS,
        validate_formats=True,
        formats=FORMATS,
    )


def _place(error: jsonschema_rs.ValidationError) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
    )


def _message(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if kind.name == "const" and isinstance(kind.value, str) and kind.value.startswith(IS_NOT):
        value = json.dumps(error.instance, ensure_ascii=False)
        return f"{value if len(value) < 200 else value[:200] + '...'} {kind.value}"
    return error.message


def _told(error: jsonschema_rs.ValidationError, path: str) -> list[Violation]:
    """What the validator found: each key too many by its own path, which it does not say itself."""
    path += _place(error)
    if isinstance(error.kind, _UNKNOWN_KEYS):
        keys = error.kind.unexpected[:MAX_VIOLATIONS]
        return [Violation(f"{path}.{key[:60]}", "is not a property of the schema") for key in keys]
    return [Violation(path, _message(error)[:500])]


def _refuse(uri: str) -> Any:
    raise ValueError(f"$ref {uri} points outside the schema")
