"""Schemas, and payloads that are near them."""

from typing import Any

from hypothesis import strategies as st

#: To the union of `a_union`.
UNION = {"$ref": "#/$defs/union"}


def an_object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def a_union(variants: int, **more: Any) -> dict[str, Any]:
    """A tagged union, and its definitions."""
    names = [f"v{n}" for n in range(variants)]
    return {
        "$defs": {
            "union": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]},
            **{
                n: an_object({"type": {"enum": [n]}, "id": {"type": "string"}} | more, "type")
                for n in names
            },
        }
    }


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas that fit nearly everything, so that nearly nothing ends a check early."""
    reference = st.sampled_from([{"$ref": f"#/$defs/{name}"} for name in "abc"])
    leaf = st.sampled_from(
        [{}, {"minimum": 0}, {"type": ["object", "array", "integer"]}, {"not": False}]
    )

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=3)
        named = st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3)
        return st.one_of(
            some.map(lambda s: {"allOf": s}),
            some.map(lambda s: {"anyOf": [{"type": "string"}, *s]}),
            some.map(lambda s: {"oneOf": [{"type": "null"}, *s]}),
            inner.map(lambda s: {"not": {"not": s}}),
            inner.map(lambda s: {"items": s}),
            some.map(lambda s: {"prefixItems": s, "items": s[0]}),
            inner.map(lambda s: {"contains": s, "minContains": 0}),
            named.map(lambda s: {"properties": s}),
            named.map(lambda s: {"properties": s, "unevaluatedProperties": {"minimum": 0}}),
            inner.map(lambda s: {"additionalProperties": s}),
            inner.map(lambda s: {"patternProperties": {"x|y": s}}),
            st.tuples(inner, inner).map(lambda s: {"if": s[0], "then": s[1], "else": s[1]}),
            named.map(lambda s: {"dependentSchemas": s}),
        )

    any_schema = st.recursive(leaf | reference, around, max_leaves=6)
    definitions = st.fixed_dictionaries(dict.fromkeys("abc", any_schema))
    return st.tuples(any_schema, definitions).map(lambda s: {"allOf": [s[0]], "$defs": s[1]})


#: Fits nothing, which turns out after everything else has been looked at.


def payloads() -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        st.integers(0, 9),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
        ),
        max_leaves=12,
    )
    return st.dictionaries(st.sampled_from("xyz"), values, max_size=3)
