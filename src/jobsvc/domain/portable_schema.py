"""Parts of JSON Schemas that validators of other languages refuse, or read in another way. Pure.

What they do was seen with jsonschema-rs 0.60 (Rust), jsonschema 4.26 (Python), Ajv 8.20
(JavaScript) and santhosh-tekuri/jsonschema 6.0 (Go); docs/schemas.md has the whole of it.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from jobsvc.domain.schema_rewrite import NAMED_SCHEMAS, SCHEMAS

_MAX_WARNINGS = 20
#: What every one of the four compiles: literals, classes, groups, alternatives, repetitions.
_PATTERN = re.compile(
    r"""(?:
        (?: [^\\^$.*+?()\[\]{}|]                            # a literal
          | [.)]
          | \\[\^$\\.*+?()\[\]{}|/dDwWsSbBtnrfv]
          | \\x[0-9a-fA-F]{2}
          | \[\^?+(?:[^\]\\\[]|\\[\^$\\.*+?()\[\]{}|/dDwWsStnrfv-]|\\x[0-9a-fA-F]{2})++\]
        ) (?: (?:[*+?]|\{[0-9]{1,4}(?:,[0-9]{0,4})?\}) \?? )?+
      | [\^$|]
      | \((?:\?:)?+
    )*+""",
    re.VERBOSE | re.DOTALL,
)
_COUNT = re.compile(r"[{,]([0-9]{4})[,}]")
_MAX_COUNT = 1000
_LARGEST_EXACT = 2**53
#: The keywords of draft 2020-12, two older ones that validators still know, and one of OpenAPI that
#: libraries write into tagged unions.
_KEYWORDS = frozenset(
    """
    $schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs
    allOf anyOf oneOf not if then else dependentSchemas prefixItems items contains properties
    patternProperties additionalProperties propertyNames unevaluatedItems unevaluatedProperties
    type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength
    pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties
    required dependentRequired title description default deprecated readOnly writeOnly examples
    format contentEncoding contentMediaType contentSchema
    definitions dependencies discriminator
    """.split()  # noqa: SIM905  # a list of so many literals is no easier to read
)


def portability_warnings(document: Any) -> list[tuple[str, str]]:
    """Returns up to 20 places in a schema that are not portable, as paths, each with the reason.

    `document` is decoded JSON, a schema by the metaschema, hence Any.
    """
    return list(islice(_warnings(document, ""), _MAX_WARNINGS))


def _warnings(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _warnings(item, f"{place}[{index}]")
    if not isinstance(schema, dict):
        return
    if "contains" in schema and "unevaluatedItems" in schema:
        yield f"{place}.unevaluatedItems", "Ajv does not count the items that fit contains"
    if "if" not in schema and not schema.keys().isdisjoint({"then", "else"}):
        yield place, "then and else do nothing without if, and Ajv refuses them"
    for keyword, value in schema.items():
        at = f"{place}.{keyword}"
        why = _why_not(keyword, value)
        if why is not None:
            yield at, why
        if keyword in NAMED_SCHEMAS:
            for name, child in value.items():
                if keyword == "patternProperties" and (why := _why_not("pattern", name)):
                    yield f"{at}.{name}", why
                yield from _warnings(child, f"{at}.{name}")
        elif keyword in SCHEMAS:
            yield from _warnings(value, at)


def _why_not(keyword: str, value: Any) -> str | None:
    if keyword == "pattern":
        end = _PATTERN.match(value).end()  # type: ignore[union-attr]  # it matches nothing as well
        if end < len(value):
            return f"not every language reads {value[end : end + 12]!r} at position {end} so"
        if any(int(count) > _MAX_COUNT for count in _COUNT.findall(value)):
            return f"Go repeats at most {_MAX_COUNT} times"
    elif keyword == "multipleOf" and value % 1:
        return "Python and Ajv divide doubles: 19.99 is no multiple of 0.01"
    elif any(map(_is_inexact, value if keyword == "enum" else [value])):
        return "JavaScript rounds whole numbers of 2^53 and more"
    elif keyword == "enum" and not value:
        return "Ajv refuses an empty list"
    elif keyword == "dependencies":
        return "Python does nothing with it; use dependentRequired or dependentSchemas"
    elif keyword == "nullable":
        return "only Ajv reads it; use a list of types"
    elif keyword not in _KEYWORDS and not keyword.startswith("x-"):
        return "is no keyword of draft 2020-12: it does nothing, and Ajv refuses it"
    return None


def _is_inexact(value: Any) -> bool:
    return isinstance(value, int) and abs(value) >= _LARGEST_EXACT
