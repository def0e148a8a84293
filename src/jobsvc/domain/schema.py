"""JSON Schemas of queues: compiled once, applied to payloads."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec

from jobsvc.domain.errors import Violation
from jobsvc.domain.formats import FORMATS

_MAX_VIOLATIONS = 20
#: From this size on, finding every violation can take 10 ms and more.
_LARGE_CHARACTERS = 4096
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class SchemaInvalid(Exception):
    """The definition is no JSON Schema. The text of the error says why."""


class Schema:
    """A compiled JSON Schema, draft 2020-12, whose `$ref`s stay inside the document.

    Known formats are asserted, others say nothing.
    """

    def __init__(self, definition: str) -> None:
        """Compiles a definition (JSON text).

        Raises:
            SchemaInvalid: it is no schema, or has a `$ref` to another document.
        """
        try:
            document = msgspec.json.decode(definition)
        except msgspec.DecodeError as error:
            raise SchemaInvalid(f"is not JSON: {error}") from error
        # Another dialect would be misread; an unknown one would be fetched over the network.
        dialect = document.get("$schema", _DIALECT) if isinstance(document, dict) else _DIALECT
        if dialect not in (_DIALECT, _DIALECT + "#"):
            raise SchemaInvalid(f"$schema must be {_DIALECT}, or left out")
        try:
            jsonschema_rs.meta.validate(document)
            self._validator = jsonschema_rs.Draft202012Validator(
                document, retriever=_refuse, validate_formats=True, formats=FORMATS
            )
        except jsonschema_rs.ValidationError as error:
            raise SchemaInvalid(error.message) from error
        except (jsonschema_rs.ReferencingError, ValueError) as error:
            raise SchemaInvalid(f"{error}"[:500]) from error

    def violations(self, payload: dict[str, Any], path: str, size: int = 0) -> list[Violation]:
        """Returns up to 20 violations of a payload, each with its path below `path`.

        Only the first if the `size` of its text is large, since finding all of them takes long.
        """
        if self._validator.is_valid(payload):
            return []
        found: list[Violation] = []
        for error in self._errors(payload, size > _LARGE_CHARACTERS):
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
