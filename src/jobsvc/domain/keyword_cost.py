"""What keywords of JSON Schema cost that apply no other schema. Pure.

The figures are measured, in steps of about 10 ns. The checker compares fractions and large numbers
exactly, so a number has as many bytes here as it has without an exponent (`written_out_bytes`).
"""

import math
from typing import Any

from jobsvc.domain.formats import FORMATS

#: A value is compared with a number, for each digit of it behind the point, and for each byte of
#: the value; with one part of an object or array.
_NUMBER_STEPS, _PLACE_STEPS, _COMPARED_STEPS, _PART_STEPS = 150, 10, 7, 20
#: A number is a multiple of a whole number, of a fraction that is not tiny, and of one that is;
#: for each byte of it.
_WHOLE_MULTIPLE_STEPS, _MULTIPLE_STEPS, _TINY_MULTIPLE_STEPS, _TINY = 15, 150, 2000, 1e-15
_WHOLE_DIGIT_STEPS, _DIGIT_STEPS = 10, 15
#: For each byte of a number that has a bound: a whole one that is not large, any other.
_BOUND_STEPS, _FRACTION_BOUND_STEPS, _LARGE = 3, 15, 2**53
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
            return _comparison_cost(value)
        case "const":
            return _comparison_cost([value])
        case "multipleOf":
            if value % 1 == 0:
                return _WHOLE_MULTIPLE_STEPS, _WHOLE_DIGIT_STEPS
            return (_TINY_MULTIPLE_STEPS if value < _TINY else _MULTIPLE_STEPS), _DIGIT_STEPS
        case "dependentRequired":
            return len(value), 0
    if keyword in _BOUNDS:
        whole = value % 1 == 0 and abs(value) < _LARGE
        return 0, _BOUND_STEPS if whole else _FRACTION_BOUND_STEPS
    return 0, 0


def _comparison_cost(options: list[Any]) -> tuple[float, float]:
    costs = [_one_comparison(option) for option in options]
    return sum(steps for steps, _ in costs), sum(per_byte for _, per_byte in costs)


def _one_comparison(option: Any) -> tuple[float, float]:
    if isinstance(option, dict):
        option = [part for member in option.items() for part in member]
    if isinstance(option, list):
        costs = [_one_comparison(part) for part in option]
        steps = _PART_STEPS + sum(max(_PART_STEPS, steps) for steps, _ in costs)
        # The first part that differs is the last that is looked at.
        return steps, max((per_byte for _, per_byte in costs), default=0)
    if isinstance(option, bool | str | None):
        return 1, 0
    places = -math.log10(abs(option)) if 0 < abs(option) < 1 else 0
    return _NUMBER_STEPS + _PLACE_STEPS * places, _COMPARED_STEPS
