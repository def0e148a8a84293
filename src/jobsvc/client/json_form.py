"""Plain values of this package as what JSON can say. Pure."""

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any


class JsonForm:
    """A dataclass that can be written as JSON."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:  # Any: whatever its fields hold
        """Returns all fields as `json.dumps` takes them: states by name, times as ISO 8601,
        input and output as values, under these names."""
        form: dict[str, Any] = _form(self)
        return form


def _form(value: Any) -> Any:  # Any: a field of any type
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_form(item) for item in value]
    if isinstance(value, dict):
        return {key: _form(item) for key, item in value.items()}
    if not is_dataclass(value):
        return value
    form: dict[str, Any] = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if field.name.endswith("_json"):
            form[field.name.removesuffix("_json")] = None if item is None else json.loads(item)
        else:
            form[field.name] = _form(item)
    return form
