"""What keywords of JSON Schema cost that apply no other schema. Pure.

The figures are measured, in steps of about 10 ns, for values of ordinary magnitude: the checker
compares fractions and large numbers exactly, which takes it a microsecond and more.
"""

from typing import Any

from jobsvc.domain.formats import FORMATS

#: A number is compared with a fraction, and with one part of an object or array.
_FRACTION_STEPS, _PART_STEPS = 150, 20
#: A number is a multiple of a fraction that is not tiny, and of one that is.
_MULTIPLE_STEPS, _TINY_MULTIPLE_STEPS, _TINY = 150, 2000, 1e-15
#: For each byte of a number that has a bound: a whole one that is not large, any other.
_BOUND_STEPS, _FRACTION_BOUND_STEPS, _LARGE = 4, 15, 2**53
#: For each byte of a text that has a format: `regex`, whose names of groups are compared with each
#: other; one of ours; any other. Before its first byte: a pattern or a format.
_REGEX_STEPS, _OWN_FORMAT_STEPS, _FORMAT_STEPS = 60, 12, 4
SEARCH_STEPS = 5
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}


def keyword_cost(keyword: str, value: Any) -> tuple[float, float]:
    """Returns the steps that a keyword takes for a value, and for each byte of it. `value` is that
    of the keyword, valid by the metaschema, hence Any."""
    match keyword:
        case "format":
            if value == "regex":
                return SEARCH_STEPS, _REGEX_STEPS
            return SEARCH_STEPS, _OWN_FORMAT_STEPS if value in FORMATS else _FORMAT_STEPS
        case "enum":
            # Texts are looked up, and others compared one by one.
            if all(isinstance(option, str) for option in value):
                return 1, 0
            return sum(map(_comparison_steps, value)), 0
        case "const":
            return _comparison_steps(value), 0
        case "multipleOf":
            if value % 1 == 0:
                return 1, 0
            return (_TINY_MULTIPLE_STEPS if value < _TINY else _MULTIPLE_STEPS), 0
        case "dependentRequired":
            return len(value), 0
    if keyword in _BOUNDS:
        whole = value % 1 == 0 and abs(value) < _LARGE
        return 0, _BOUND_STEPS if whole else _FRACTION_BOUND_STEPS
    return 0, 0


def _comparison_steps(option: Any) -> float:
    if isinstance(option, dict):
        option = [part for member in option.items() for part in member]
    if isinstance(option, list):
        return _PART_STEPS + sum(max(_PART_STEPS, _comparison_steps(part)) for part in option)
    return _FRACTION_STEPS if isinstance(option, float) and option % 1 else 1
