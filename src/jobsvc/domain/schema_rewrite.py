"""Equal JSON Schemas that are cheaper to apply. Pure; Any stands for a part of decoded JSON."""

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from jobsvc.domain.schema_graph import part_at

#: Keywords whose values are schemas by name, lists of schemas, or a schema.
NAMED_SCHEMAS = {"properties", "patternProperties", "dependentSchemas", "dependencies"} | {
    *("$defs", "definitions")
}
SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems", "not", "if", "then", "else", "items"} | {
    *("contains", "unevaluatedItems", "propertyNames"),
    *("additionalProperties", "unevaluatedProperties"),
}
#: What a violation of alternatives says, instead of all violations of each of them.
ALTERNATIVES = {
    "anyOf": "is not valid under any of the schemas listed in the 'anyOf' keyword",
    "oneOf": "is not valid under exactly one of the schemas listed in the 'oneOf' keyword",
}

#: How the texts begin that a violation of a rewritten keyword has for its `const`.
IS_NOT = "is not "
#: A comparison with a number takes a microsecond where a bound takes a hundredth, up to a size.
_COMPARED = ("enum", "const")
_LARGE, _MAX_RUNS = 2**53, 300
_MAX_LISTED_CHARACTERS = 200

_Variants = list[tuple[list[str], Any]]


def by_tag(document: Any) -> Any:
    """A schema that looks at the tag of a tagged union, and then at one variant only.

    A tagged union is a list of alternatives for objects that all require one property, each with
    texts of its own for it. Of such alternatives one fits at most, so `oneOf` and `anyOf` are the
    same. Besides the work it saves, violations are those of the variant that is meant.
    """
    if not isinstance(document, dict) or _refers_into_alternatives(document | {"$id": None}):
        return document

    def rewrite(schema: dict[str, Any], keyword: str) -> list[Any] | None:
        tagged = _tagged(document, schema[keyword])
        if tagged is None:
            return None
        tag, variants = tagged
        has_tag = _has_tag(tag, variants)
        return [{"if": has_tag, "then": _choice(tag, variants), "else": has_tag}]

    return _rewritten(document, rewrite, ALTERNATIVES)


def by_bounds(document: Any) -> Any:
    """A schema that compares values with whole numbers by their bounds: an `enum` or `const` of
    whole numbers is the integers in some ranges."""

    def rewrite(schema: dict[str, Any], keyword: str) -> list[Any] | None:
        options = schema[keyword] if keyword == "enum" else [schema[keyword]]
        runs = _runs({int(option) for option in options if _is_small_whole(option)})
        if not 0 < len(runs) <= _MAX_RUNS:
            return None
        listed = json.dumps(options, ensure_ascii=False)[1:-1]
        if len(listed) > _MAX_LISTED_CHARACTERS:
            listed = f"{listed[:_MAX_LISTED_CHARACTERS]}..."
        misfit = {"const": f"{IS_NOT}{'one of ' if len(options) > 1 else ''}{listed}"}
        others = [option for option in options if not _is_small_whole(option)]
        within = {"type": "integer", "minimum": runs[0][0], "maximum": runs[-1][1]}
        return [
            {
                "if": within,
                "then": len(runs) == 1 or _in_a_run(runs, misfit),
                "else": {"if": {"enum": others}, "else": misfit} if others else misfit,
            }
        ]

    return _rewritten(document, rewrite, _COMPARED)


def briefly(document: Any) -> Any:
    """A schema whose violations do not list those of each alternative, of which there can be any
    number, each with a copy of the value. They violate a `const` of `ALTERNATIVES` instead."""

    def rewrite(schema: dict[str, Any], keyword: str) -> list[Any]:
        return [{"if": {keyword: schema[keyword]}, "else": {"const": ALTERNATIVES[keyword]}}]

    return _rewritten(document, rewrite, ALTERNATIVES)


def _rewritten(
    schema: Any,
    rewrite: Callable[[dict[str, Any], str], list[Any] | None],
    keywords: Collection[str],
) -> Any:
    """The schema with those of its keywords replaced, in its `allOf`, by what `rewrite` returns."""
    if isinstance(schema, list):
        return [_rewritten(item, rewrite, keywords) for item in schema]
    if not isinstance(schema, dict):
        return schema
    new: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in NAMED_SCHEMAS:
            new[keyword] = {
                name: _rewritten(child, rewrite, keywords) for name, child in value.items()
            }
        else:
            new[keyword] = _rewritten(value, rewrite, keywords) if keyword in SCHEMAS else value
    for keyword in [keyword for keyword in keywords if keyword in new]:
        conditions = rewrite(new, keyword)
        if conditions is not None:
            del new[keyword]
            new["allOf"] = [*new.get("allOf", ()), *conditions]
    return new


def _is_small_whole(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGE and value % 1 == 0


def _runs(numbers: Collection[int]) -> list[tuple[int, int]]:
    """The first and last of each run of neighbours, in their order."""
    firsts = sorted(number for number in numbers if number - 1 not in numbers)
    lasts = sorted(number for number in numbers if number + 1 not in numbers)
    return list(zip(firsts, lasts, strict=True))


def _in_a_run(runs: Sequence[tuple[int, int]], misfit: Any) -> Any:
    """A schema for the integers that are in a run, of those that are neither beyond the last run
    nor in or before the run that precedes these."""
    if len(runs) == 1:
        return {"if": {"minimum": runs[0][0]}, "else": misfit}
    half = len(runs) // 2
    return {
        "if": {"maximum": runs[half - 1][1]},
        "then": _in_a_run(runs[:half], misfit),
        "else": _in_a_run(runs[half:], misfit),
    }


def _refers_into_alternatives(part: Any) -> bool:
    """Whether a reference leads to an alternative by its place, or depends on an inner `$id`."""
    if isinstance(part, list):
        return any(map(_refers_into_alternatives, part))
    if not isinstance(part, dict):
        return False
    reference = part.get("$ref", "")
    return (
        part.get("$id") is not None
        or (isinstance(reference, str) and ("/anyOf/" in reference or "/oneOf/" in reference))
        or any(map(_refers_into_alternatives, part.values()))
    )


def _tagged(document: Any, alternatives: Sequence[Any]) -> tuple[str, _Variants] | None:
    """The tag of alternatives and the texts that each has for it; None if it is no tagged union."""
    resolved = [_resolved(document, alternative) for alternative in alternatives]
    if len(resolved) < 2 or any(schema.get("type") != "object" for schema in resolved):
        return None
    for tag in resolved[0].get("required", ()):
        texts = [_texts(schema, tag) for schema in resolved]
        every = [text for one in texts for text in one]
        if all(texts) and len(set(every)) == len(every):
            return tag, list(zip(texts, alternatives, strict=True))
    return None


def _resolved(document: Any, schema: Any) -> dict[str, Any]:
    """The schema that a bare reference leads to; an empty one for what cannot be a variant."""
    for _ in range(2):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return {}
        schema = part_at(document, reference[1:])
    return {}


def _texts(schema: dict[str, Any], tag: str) -> list[str]:
    """The texts that an object schema has for a property that it requires; none if any will do."""
    if tag not in schema.get("required", ()):
        return []
    value = schema.get("properties", {}).get(tag)
    if not isinstance(value, dict):
        return []
    texts = value.get("enum", [value.get("const")])
    return texts if all(isinstance(text, str) for text in texts) else []


def _has_tag(tag: str, variants: _Variants) -> dict[str, Any]:
    texts = [text for one, _ in variants for text in one]
    return {"type": "object", "required": [tag], "properties": {tag: {"enum": texts}}}


def _choice(tag: str, variants: _Variants) -> Any:
    if len(variants) == 1:
        return variants[0][1]
    half = len(variants) // 2
    return {
        "if": {"properties": {tag: {"enum": [t for one, _ in variants[:half] for t in one]}}},
        "then": _choice(tag, variants[:half]),
        "else": _choice(tag, variants[half:]),
    }
