"""What msgspec's descriptions of types do not say themselves. Pure."""

import re
from inspect import cleandoc
from typing import Any, get_args

import msgspec
from msgspec import inspect

_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


def is_model(annotation: Any) -> bool:
    """Whether a type is a pydantic model, or a union with one. Needs no pydantic."""
    if isinstance(annotation, type):
        return hasattr(annotation, "model_validate_json")
    return any(map(is_model, get_args(annotation)))


def is_hashable(kind: inspect.Type) -> bool:
    """Whether every value of a type can be an item of a set."""
    return _is_hashable(kind, set())


def _is_hashable(kind: inspect.Type, seen: set[Any]) -> bool:
    match kind:
        case inspect.Metadata():
            return _is_hashable(kind.type, seen)
        case inspect.UnionType():
            return all(_is_hashable(member, seen) for member in kind.types)
        case inspect.TupleType():
            return all(_is_hashable(item, seen) for item in kind.item_types)
        case inspect.VarTupleType() | inspect.FrozenSetType():
            return _is_hashable(kind.item_type, seen)
        case inspect.StructType() | inspect.DataclassType() | inspect.NamedTupleType():
            origin = getattr(kind.cls, "__origin__", kind.cls)
            config = getattr(origin, "__struct_config__", None)
            if origin.__hash__ is None or (config is not None and not config.frozen):
                return False
            if kind.cls in seen:
                return True
            seen.add(kind.cls)
            return all(_is_hashable(field.type, seen) for field in kind.fields)
    return not isinstance(
        kind,
        inspect.CollectionType
        | inspect.DictType
        | inspect.FrozenDictType
        | inspect.TypedDictType
        | inspect.AnyType
        | inspect.RawType
        | inspect.ByteArrayType,
    )


def has_bounds(kind: inspect.Type) -> bool:
    """Whether a type has bounds, lengths or a pattern."""
    return any(getattr(kind, name, None) is not None for name in _BOUNDS)


def is_distinct(kind: inspect.Type) -> bool:
    """Whether values of a type differ whenever their JSON does."""
    if isinstance(kind, inspect.LiteralType):
        return not any(isinstance(value, bool) for value in kind.values)
    known = inspect.StrType | inspect.IntType | inspect.DateType | inspect.EnumType
    return isinstance(kind, known)


def has_some_integers(kind: inspect.Type) -> bool:
    """Whether a type takes integers, but not all of them."""
    if isinstance(kind, inspect.EnumType):
        return any(isinstance(member.value, int) for member in kind.cls)
    if isinstance(kind, inspect.LiteralType):
        return any(type(value) is int for value in kind.values)
    return isinstance(kind, inspect.IntType) and has_bounds(kind)


def default_of(field: inspect.Field) -> dict[str, Any]:
    """The keyword `default` of a field's schema, if JSON can hold the default."""
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory in (list, dict, set):
        default = field.default_factory()
    if default is msgspec.NODEFAULT:
        return {}
    try:
        # What JSON cannot hold is no default that a caller could send.
        return {"default": msgspec.json.decode(msgspec.json.encode(default))}
    except Exception:
        return {}


def class_name(cls: Any) -> str:
    """The name of a class or generic alias, in letters that need no escape in a `$ref`."""
    name = getattr(cls, "__origin__", cls).__name__
    for argument in getattr(cls, "__args__", ()):
        name += f"_{getattr(argument, '__name__', argument)}"
    return re.sub("[^A-Za-z0-9_.-]", "_", name)


def description_of(cls: Any) -> str:
    """What the developer wrote about a class; empty if nothing."""
    origin = getattr(cls, "__origin__", cls)
    text = cleandoc(origin.__doc__ or "")
    generated = text.startswith(f"{origin.__name__}(") or text == "An enumeration."
    return "" if generated else text
