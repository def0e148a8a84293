"""JSON Schemas of queues: compiled once, applied to payloads."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec

from jobsvc.domain.errors import Violation

_MAX_VIOLATIONS = 20
#: To find everything that is wrong with so many characters takes a hundredth of a second and more.
_LARGE = 4096
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class SchemaInvalid(Exception):
    """A definition is no JSON Schema; the text of the error says why."""


class Schema:
    """A compiled JSON Schema, draft 2020-12, whose `$ref`s stay inside the document."""

    def __init__(self, definition: str) -> None:
        """Compiles a definition (JSON text).

        Raises:
            SchemaInvalid: it is no schema, or points outside itself.
        """
        try:
            document = msgspec.json.decode(definition)
        except msgspec.DecodeError as error:
            raise SchemaInvalid(f"is not JSON: {error}") from error
        # Any other dialect would be misread, and one that is not known be fetched over the network.
        dialect = document.get("$schema", _DIALECT) if isinstance(document, dict) else _DIALECT
        if dialect not in (_DIALECT, _DIALECT + "#"):
            raise SchemaInvalid(f"$schema must be {_DIALECT}, or left out")
        try:
            jsonschema_rs.meta.validate(document)
            self._validator = jsonschema_rs.Draft202012Validator(document, retriever=_refuse)
        except jsonschema_rs.ValidationError as error:
            raise SchemaInvalid(error.message) from error
        except (jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaInvalid(f"{error}"[:500]) from error

    def violations(self, payload: dict[str, Any], path: str, size: int = 0) -> list[Violation]:
        """What is wrong with a payload, at most 20 checks, each with its path below `path`.

        Of one whose `size` as text is large only the first, since all of them are looked for.
        """
        if self._validator.is_valid(payload):
            return []
        found: list[Violation] = []
        for error in self._errors(payload, size > _LARGE):
            where = "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
            )
            found.append(Violation(path + where, error.message[:500]))
            if len(found) == _MAX_VIOLATIONS:
                break
        return found

    def _errors(
        self, payload: dict[str, Any], only_first: bool
    ) -> Iterator[jsonschema_rs.ValidationError]:
        if not only_first:
            yield from self._validator.iter_errors(payload)
            return
        try:
            self._validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            yield error


def _refuse(uri: str) -> Any:
    raise ValueError(f"$ref {uri} points outside the schema")
