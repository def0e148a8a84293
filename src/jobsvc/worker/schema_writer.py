"""Writes a JSON Schema that takes nothing that msgspec's decoder of the type refuses. Pure."""

from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from jobsvc.worker.pattern import PatternInvalid, portable_pattern
from jobsvc.worker.text_schema import base64_text, zoned_text
from jobsvc.worker.type_facts import (
    class_name,
    default_of,
    description_of,
    has_bounds,
    has_some_integers,
    is_distinct,
    is_hashable,
    is_model,
)
from jobsvc.worker.unknown_keys import allows_unknown_keys

#: A JSON Schema; its values are of any type that JSON allows.
Schema = dict[str, Any]

#: Beyond, the numbers that a double holds have gaps, and validators disagree about multiples.
MAX_EXACT = 2**53 - 1
_OBJECTS = inspect.StructType | inspect.DataclassType | inspect.TypedDictType
_CLASSES = _OBJECTS | inspect.NamedTupleType | inspect.EnumType
#: Names of properties that stand for integers.
INTEGER_KEYS = {"pattern": "^(?:0|-?[1-9][0-9]*)$", "maxLength": 300}
KEYS_REFUSED = (
    "the keys of a dict must be str, int without bounds, a Literal or Enum of these, or of a type"
    " that is written as a text with a format"
)
_FORMATS: dict[type[inspect.Type], str] = {
    inspect.DateType: "date",
    inspect.TimeDeltaType: "duration",
    inspect.UUIDType: "uuid",
    inspect.DecimalType: "decimal",
}


class SchemaInvalid(Exception):
    """A type cannot be the input or output of a job. The text says why."""


def fraction_refusal(step: float | None) -> str | None:
    """Says why a `multiple_of` is refused; None if it is not."""
    if step is None or step == int(step):
        return None
    return (
        f"multiple_of={step} has no meaning that validators agree on, since 19.99 is no multiple"
        " of 0.01 to those that count in doubles: count in whole units, such as cents, or use a"
        " Decimal"
    )


class SchemaWriter:
    """Writes schemas; classes go to `definitions`, by names that `$ref`s of the others use.

    Where `closed`, objects of a class take no unknown keys, unless the class allows them.
    """

    def __init__(self, closed: bool) -> None:
        self.definitions: dict[str, Schema] = {}
        self._closed = closed
        # By class, or generic alias of one.
        self._names: dict[Any, str] = {}
        self._place = ""

    def write(self, kind: inspect.Type) -> Schema:
        """Returns the schema of a type.

        Raises:
            SchemaInvalid: no schema takes only what the decoder takes.
        """
        schema: Schema = {}
        while isinstance(kind, inspect.Metadata):
            schema |= kind.extra_json_schema or {}
            kind = kind.type
        return schema | self._written(kind)

    def _written(self, kind: inspect.Type) -> Schema:
        match kind:
            case inspect.AnyType() | inspect.RawType():
                return {}
            case inspect.NoneType():
                return {"type": "null"}
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.IntType():
                return {"type": "integer"} | self._bounds(kind)
            case inspect.FloatType():
                return {"type": "number"} | self._bounds(kind)
            case inspect.StrType():
                return {"type": "string"} | self._lengths(kind, "Length") | self._pattern(kind)
            case inspect.BytesType() | inspect.ByteArrayType() | inspect.MemoryViewType():
                return base64_text(kind.min_length or 0, kind.max_length)
            case inspect.DateTimeType():
                return zoned_text("date-time", kind.tz)
            case inspect.TimeType():
                return zoned_text("time", kind.tz)
            case inspect.LiteralType():
                return {"enum": list(kind.values)}
            case inspect.CollectionType():
                return self._array(kind)
            case inspect.TupleType():
                count = len(kind.item_types)
                return self._row(map(self.write, kind.item_types), count, closed=True)
            case inspect.DictType() | inspect.FrozenDictType():
                return self._dict(kind)
            case inspect.UnionType():
                return self._union(kind)
        if isinstance(kind, _CLASSES):
            return {"$ref": f"#/$defs/{self._define(kind)}"}
        if (name := _FORMATS.get(type(kind))) is not None:
            return {"type": "string", "format": name}
        what = getattr(kind, "cls", None)
        named = what.__qualname__ if isinstance(what, type) else type(kind).__name__
        if is_model(what):
            raise self._invalid(
                f"{named} is a pydantic model, which can be an input or output, or a field of"
                " another model, and nothing else: make the class around it a model, too"
            )
        raise self._invalid(
            f"{named} is no type that JSON is decoded to: use one of the standard library that"
            " docs/reference/formats.md lists, a dataclass, Struct or TypedDict of such, or a"
            " pydantic model"
        )

    def _invalid(self, why: str) -> SchemaInvalid:
        return SchemaInvalid(f"{self._place}: {why}" if self._place else why)

    def _bounds(self, kind: inspect.IntType | inspect.FloatType) -> Schema:
        bounds: Schema = {}
        if (step := kind.multiple_of) is not None:
            if (refusal := fraction_refusal(step)) is not None:
                raise self._invalid(refusal)
            bounds = {"multipleOf": int(step), "minimum": -MAX_EXACT, "maximum": MAX_EXACT}
        given = {
            "minimum": kind.ge,
            "exclusiveMinimum": kind.gt,
            "maximum": kind.le,
            "exclusiveMaximum": kind.lt,
        }
        for keyword, bound in given.items():
            if bound is not None and (step is None or abs(bound) < MAX_EXACT):
                bounds[keyword] = bound
        return bounds

    def _lengths(self, kind: Any, of_what: str) -> Schema:
        # Any: of a type with these two bounds.
        lengths = {f"min{of_what}": kind.min_length, f"max{of_what}": kind.max_length}
        return {keyword: length for keyword, length in lengths.items() if length is not None}

    def _pattern(self, kind: inspect.StrType) -> Schema:
        if kind.pattern is None:
            return {}
        try:
            return {"pattern": portable_pattern(kind.pattern)}
        except PatternInvalid as error:
            raise self._invalid(f"pattern {kind.pattern!r} {error}") from None

    def _array(self, kind: inspect.CollectionType) -> Schema:
        schema: Schema = {"type": "array"}
        items = self.write(kind.item_type)
        if isinstance(kind, inspect.SetType | inspect.FrozenSetType):
            schema["uniqueItems"] = True
            if isinstance(kind.item_type, inspect.AnyType):
                items = {"type": ["null", "boolean", "number", "string"]}
            elif not is_hashable(kind.item_type):
                raise self._invalid(
                    "a set cannot hold what has no hash: use a list, or tuples and frozen classes"
                )
            self._refuse_merging(kind.item_type, kind.min_length, "a set's items")
        if items:
            schema["items"] = items
        return schema | self._lengths(kind, "Items")

    def _refuse_merging(self, kind: inspect.Type, min_length: int | None, what: str) -> None:
        while isinstance(kind, inspect.Metadata):
            kind = kind.type
        if (min_length or 0) > 1 and not is_distinct(kind):
            raise self._invalid(
                f"{what} of this type can be equal though their JSON is not, so min_length cannot"
                " be checked before the job runs: leave it out"
            )

    def _row(self, items: Iterable[Schema], least: int, closed: bool) -> Schema:
        columns = list(items)
        schema: Schema = {"type": "array", "minItems": least}
        if columns:
            schema["prefixItems"] = columns
        if closed:
            schema["maxItems"] = len(columns)
        return schema

    def _dict(self, kind: inspect.DictType | inspect.FrozenDictType) -> Schema:
        schema: Schema = {"type": "object"}
        if names := self._key(kind.key_type):
            schema["propertyNames"] = names
        self._refuse_merging(kind.key_type, kind.min_length, "keys")
        if values := self.write(kind.value_type):
            schema["additionalProperties"] = values
        return schema | self._lengths(kind, "Properties")

    def _key(self, kind: inspect.Type) -> Schema:
        inner = kind
        while isinstance(inner, inspect.Metadata):
            inner = inner.type
        match inner:
            case inspect.AnyType():
                return {}
            case inspect.IntType() if inner == inspect.IntType():
                return INTEGER_KEYS
            case inspect.EnumType():
                return {"enum": [str(member.value) for member in inner.cls]}
            case inspect.LiteralType() if all(type(v) in (int, str) for v in inner.values):
                return {"enum": [str(value) for value in inner.values]}
            case inspect.StrType() | inspect.BytesType():
                pass
            case inspect.DateTimeType() | inspect.TimeType():
                pass
            case _ if type(inner) not in _FORMATS:
                raise self._invalid(KEYS_REFUSED)
        schema = self.write(kind)
        schema.pop("type")  # Keys are texts.
        return schema

    def _union(self, kind: inspect.UnionType) -> Schema:
        members = [m.type if isinstance(m, inspect.Metadata) else m for m in kind.types]
        repeated = [type(m) for m in members if not isinstance(m, _CLASSES | inspect.LiteralType)]
        if len(repeated) > len(set(repeated)):
            raise self._invalid(
                "of a union of one type with different bounds, the decoder asserts all bounds at"
                " once: write them as one type"
            )
        if inspect.TupleType in repeated and any(map(has_bounds, members)):
            raise self._invalid(
                "a union of a tuple of fixed length and a type with bounds cannot be decoded: use"
                " a list, or a tuple of any length"
            )
        if inspect.FloatType in repeated and any(map(has_some_integers, members)):
            raise self._invalid(
                "of a union of float and some integers, the decoder refuses the other integers,"
                " which are numbers to a schema: leave float out, or allow every int"
            )
        return {"anyOf": [self.write(member) for member in kind.types]}

    def _define(self, kind: Any) -> str:
        # Any: one of _CLASSES.
        if kind.cls in self._names:
            return self._names[kind.cls]
        name = class_name(kind.cls)
        if hasattr(kind.cls, "__pydantic_validator__"):
            raise self._invalid(
                f"{name} is a pydantic dataclass, whose validators would not run here: use a model"
            )
        if name in self.definitions:
            name = f"{kind.cls.__module__}.{name}"
        while name in self.definitions:
            name += "_"
        self._names[kind.cls] = name
        # Filled below: the class may refer to itself.
        schema = self.definitions[name] = {"title": class_name(kind.cls)}
        if description := description_of(kind.cls):
            schema["description"] = description
        if isinstance(kind, inspect.EnumType):
            schema["enum"] = [member.value for member in kind.cls]
        else:
            outer = self._place
            schema.update(self._fields(kind))
            self._place = outer
        return name

    def _fields(self, kind: Any) -> Schema:
        tag = getattr(kind, "tag_field", None)
        fields: dict[str, Schema] = {} if tag is None else {tag: {"enum": [kind.tag]}}
        required = [] if tag is None else [tag]
        least = len(fields)
        for field in kind.fields:
            self._place = f"{class_name(kind.cls)}.{field.name}"
            fields[field.encode_name] = self.write(field.type) | default_of(field)
            if field.required:
                required.append(field.encode_name)
                least = len(fields)
        closed = self._closed and not allows_unknown_keys(kind.cls)
        if isinstance(kind, inspect.NamedTupleType) or getattr(kind, "array_like", False):
            fixed = closed or isinstance(kind, inspect.NamedTupleType)
            return self._row(fields.values(), least, fixed)
        schema: Schema = {"type": "object", "properties": fields, "required": required}
        if closed or getattr(kind, "forbid_unknown_fields", False):
            schema["additionalProperties"] = False
        return schema
