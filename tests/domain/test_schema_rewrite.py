"""A schema that is rewritten to cost less takes the same payloads."""

from typing import Any

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.schema_rewrite import briefly, by_bounds, by_tag
from tests.domain.support.schemas import UNION, a_union, payloads, schemas


@given(schemas(), payloads())
def test_rewritten_schema_fits_the_same_payloads(
    definition: dict[str, Any], payload: dict[str, Any]
) -> None:
    fits = jsonschema_rs.Draft202012Validator(definition).is_valid(payload)
    by_both = by_bounds(by_tag(definition))
    for equal in (by_tag(definition), briefly(definition), by_both, briefly(by_both)):
        assert jsonschema_rs.Draft202012Validator(equal).is_valid(payload) is fits


OPTIONS = (
    st.integers(-3, 12)
    | st.sampled_from([2.0, -1.5, 4.5, 1e22, -1e300, 2**53, 2**53 + 1, True, False, None, "2"])
    | st.sampled_from([[2], {"a": 2}, 5e-324, -0.0])
)


@given(st.lists(OPTIONS, min_size=1, max_size=20), OPTIONS)
def test_comparison_by_bounds_fits_the_same_values(options: list[Any], value: Any) -> None:
    for one in ({"enum": options}, {"const": options[0]}):
        definition = one | {"allOf": [{"properties": {"b": {"items": one}}}]}
        rewritten = briefly(by_bounds(definition))
        for payload in (value, {"b": [value, options[0]]}):
            fits = jsonschema_rs.Draft202012Validator(definition).is_valid(payload)
            assert jsonschema_rs.Draft202012Validator(rewritten).is_valid(payload) is fits


TAGS = st.sampled_from(["v0", "v1", "v2", "w", 7])


@given(
    st.sampled_from([{}, {"unevaluatedProperties": False}, {"$id": "https://a.example/s"}]),
    st.sampled_from(["anyOf", "oneOf"]),
    st.recursive(
        st.fixed_dictionaries(
            {}, optional={"type": TAGS, "id": st.sampled_from(["x", 7]), "more": st.just(1)}
        ),
        lambda inner: st.fixed_dictionaries(
            {"type": TAGS}, optional={"left": inner, "right": inner}
        ),
    )
    | st.just([]),
)
def test_tagged_union_fits_the_same_payloads(
    beside: dict[str, Any], keyword: str, payload: Any
) -> None:
    definition = UNION | a_union(3, left=UNION, right=UNION) | beside
    definition["$defs"]["union"] = {keyword: definition["$defs"]["union"]["anyOf"]}
    rewritten = by_tag(definition)
    assert rewritten != definition
    fits = jsonschema_rs.Draft202012Validator(definition).is_valid(payload)
    assert jsonschema_rs.Draft202012Validator(rewritten).is_valid(payload) is fits


def test_union_whose_variants_are_referred_to_by_their_place_is_left_as_it_is() -> None:
    definition = UNION | a_union(3)
    for reference in ("#/$defs/union/anyOf/0", "#/properties/a/oneOf/1/items"):
        document = definition | {"properties": {"a": {"$ref": reference}}}
        assert by_tag(document) == document
    document = definition | {"properties": {"a": {"$id": "inner"}}}
    assert by_tag(document) == document
