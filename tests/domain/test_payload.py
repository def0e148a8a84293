"""Which texts are payloads. Every refusal is a PayloadInvalid, whatever the text."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.payload import (
    MAX_LEVELS,
    PayloadInvalid,
    parse_payload,
    parse_steps,
    place_beyond,
    written_out_bytes,
)
from jobsvc.event_loop.time_slice import at_once
from tests.support.payloads import OBJECTS, TEXT, VALUES, nested

HUGE = "1" * 5000


@given(OBJECTS, st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_every_object_is_accepted_as_it_is(
    value: dict[str, Any], escaped: bool, indent: int | str | None
) -> None:
    assert parse_payload(json.dumps(value, ensure_ascii=escaped, indent=indent)) == value


@given(TEXT | st.text(st.sampled_from('{}[]":,\\u0dn1eE+-. \n'), max_size=60))
def test_any_text_is_an_object_or_a_defect(text: str) -> None:
    with suppress(PayloadInvalid):
        assert isinstance(parse_payload(text), dict)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(['"a"', '"b"', '"a:b"', '"\\u0061"']),
            st.sampled_from([":", ": ", " :", "\n:", "\t:", "\r:"]),
            VALUES | st.sampled_from(["a:b", '":', '"a":']),
        ),
        max_size=4,
    ),
    st.sampled_from(["%s", '{"x":[%s]}', '{"x:":{"y":%s}}']),
)
def test_key_is_named_once_however_it_is_spelled(
    members: list[tuple[str, str, Any]], around: str
) -> None:
    written = [f"{key}{colon}{json.dumps(value)}" for key, colon, value in members]
    text = around % ("{" + ",".join(written) + "}")
    keys = [json.loads(key) for key, _, _ in members]
    if len(set(keys)) == len(keys):
        assert parse_payload(text) == json.loads(text)
    else:
        with pytest.raises(PayloadInvalid, match="twice"):
            parse_payload(text)


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\r"])
def test_blank_before_a_colon_hides_no_key(blank: str) -> None:
    with pytest.raises(PayloadInvalid, match="twice"):
        parse_payload(f'{{"a":1,"a"{blank}:2}}')


@given(OBJECTS, st.integers(0, 400), TEXT)
def test_damaged_object_is_no_other_error(value: dict[str, Any], at: int, noise: str) -> None:
    text = json.dumps(value)
    at = min(at, len(text))
    for damaged in (text[:at], text[:at] + noise + text[at:]):
        with suppress(PayloadInvalid):
            assert isinstance(parse_payload(damaged), dict)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ('{"a": 1} {}', "is not JSON"),
        ("\ufeff{}", "is not JSON"),
        ('{"a": "\0"}', "is not JSON"),
        ('{"a": 01}', "is not JSON"),
        ("[]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ("17", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": [Infinity]}', "holds Infinity"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ('{"a": 1, "a": 1}', "names the key 'a' twice"),
        ('{"x": [{"a": 1, "b": 2, "\\u0061": 3}]}', "names the key 'a' twice"),
        ('{"a": "\\u0000"}', "holds a NUL"),
        ('{"\\u0000": 1}', "holds a NUL"),
        ('{"a": [{"b": "\\u0000"}]}', "holds a NUL"),
        ('{"a": "\\ud800"}', "holds a lone surrogate"),
        ('{"\\udc00": 1}', "holds a lone surrogate"),
        (nested(MAX_LEVELS + 1), "nests deeper"),
        ("[" * 1000, "nests deeper"),
        ('{"a":' * 100_000, "nests deeper"),
    ],
)
def test_defect_is_named(text: str, why: str) -> None:
    with pytest.raises(PayloadInvalid, match=why):
        parse_payload(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'{{"a": {HUGE}, "b": NaN}}', "holds NaN"),
        (f'{{"a": {HUGE}, "a": 1}}', "twice"),
        (f'{{"a": {HUGE},', "is not JSON"),
        (f'{{"a": {HUGE}, "b": "\\u0000"}}', "NUL"),
        (f"[{HUGE}]", "is not a JSON object"),
    ],
)
def test_huge_integer_hides_no_other_defect(text: str, why: str) -> None:
    with pytest.raises(PayloadInvalid, match=why):
        parse_payload(text)


LARGEST = str(int(sys.float_info.max))


@pytest.mark.parametrize(
    "around", ['{"a": [0, {"b": %s}]}', '{"a": [0, {"b": %s}], "x": "\\u00e4"}']
)
@pytest.mark.parametrize(
    "number",
    [
        "1e309",
        "-1E+999",
        "0.1e400",
        "1.7976931348623159e308",
        "2" * 309 + ".5",
        "2" + "0" * 308,
        "-" + "9" * 309,
        HUGE,
    ],
)
def test_number_beyond_a_double_is_refused_by_its_place(number: str, around: str) -> None:
    with pytest.raises(PayloadInvalid, match="no double can hold") as defect:
        parse_payload(around % number)
    assert defect.value.place == ".a[1].b"


@pytest.mark.parametrize(
    "number",
    ["1e308", "-1.7976931348623157e308", "1e-999", LARGEST, "-" + LARGEST, "0." + "1" * 9999],
)
def test_number_that_a_double_can_hold_is_accepted(number: str) -> None:
    assert parse_payload(f'{{"a": {number}}}') == {"a": json.loads(number)}


@given(st.text("0123456789", max_size=1500), st.text(" ,x", max_size=300))
def test_long_run_of_digits_in_a_text_is_no_number(digits: str, before: str) -> None:
    text = json.dumps({"a": before + digits})
    assert parse_payload(text) == {"a": before + digits}


@given(st.integers(10**307, 10**340), st.text(" ", max_size=300))
def test_no_whole_number_beyond_a_double_is_overlooked(number: int, before: str) -> None:
    text = f'{{"a":{before}{number}}}'
    if number > sys.float_info.max:
        with pytest.raises(PayloadInvalid, match="no double"):
            parse_payload(text)
    else:
        assert parse_payload(text) == {"a": number}


def test_surrogate_pair_is_a_letter() -> None:
    assert parse_payload('{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_most_levels_are_allowed() -> None:
    parse_payload(nested(MAX_LEVELS))


def test_brackets_in_texts_do_not_nest() -> None:
    text = json.dumps({"[" * 50: '\\"{' * 50, "a": "\\"})
    assert parse_payload(text)["a"] == "\\"


@pytest.mark.parametrize("piece", ['\\"', '"', "\\", '\\"{', "[]"])
def test_long_nonsense_is_refused_at_once(piece: str) -> None:
    text = "[" * 40 + '"' + piece * (200_000 // len(piece))
    start = time.process_time()
    with pytest.raises(PayloadInvalid):
        parse_payload(text)
    # A tenth of a second is ample; a search that begins again at every quote takes minutes.
    assert time.process_time() - start < 1


_ITEMS = 85_000
#: As many of a kind as the largest payload holds: brackets, keys, escapes.
_LARGEST = {
    "lists": '{"a":[' + ",".join(["[]"] * _ITEMS) + "]}",
    "deep lists": '{"a":[' + ",".join(["[" * 29 + "]" * 29] * 4300) + "]}",
    "objects": '{"a":[' + ",".join(['{"a":0}'] * 32_000) + "]}",
    "objects, blanks": '{"a":[' + ",".join(['{"a" :0}'] * 29_000) + "]}",
    "escapes": '{"a":[' + ",".join(['"\\u00e9"'] * 29_000) + "]}",
    "letter of two escapes": '{"b":"\\ud83d\\ude00","a":[' + ",".join(['{"a":0}'] * 32_000) + "]}",
    "digits": f'{{"b":{"1" * 308},"a":[' + ",".join(['{"a":0}'] * 32_000) + "]}",
}


@pytest.mark.parametrize("text", _LARGEST.values(), ids=_LARGEST.keys())
def test_large_payload_takes_about_as_long_as_to_decode_it(text: str) -> None:
    def seconds(read: Callable[[str], object]) -> float:
        began = time.thread_time()
        read(text)
        return time.thread_time() - began

    assert parse_payload(text) == json.loads(text)
    # A look at each bracket, key or string from Python takes six to seventeen times as long.
    ratios = (seconds(parse_payload) / seconds(json.loads) for _ in range(20))
    assert any(ratio < 5 for ratio in ratios)


@pytest.mark.parametrize("hidden", ["\\u0022:", '\\"\\u003a', '\\"\\u003A', '\\"\\u0020:'])
@pytest.mark.parametrize("blank", ["", " "])
def test_escape_in_a_text_hides_no_key(hidden: str, blank: str) -> None:
    with pytest.raises(PayloadInvalid, match="twice"):
        parse_payload(f'{{"x":{{}},"a":1,"a"{blank}:2,"b"{blank}:"{hidden}"}}')


@pytest.mark.parametrize(
    ("escapes", "why"),
    [
        ("\\\\ud83d\\ude00", "lone surrogate"),
        ("\\ud83d\\\\\\ude00", "lone surrogate"),
        ("\\ude00\\ud83d", "lone surrogate"),
        ("\\ud83d\\ude00\\u0000", "NUL"),
        ("\\\\ud83d", None),
        ("\\\\u0000", None),
        ("\\ud83d\\ude00\\uD83D\\uDE00", None),
    ],
)
def test_half_a_letter_is_found_and_a_whole_one_accepted(escapes: str, why: str | None) -> None:
    text = f'{{"a":"{escapes}"}}'
    if why is None:
        assert parse_payload(text) == json.loads(text)
    else:
        with pytest.raises(PayloadInvalid, match=why):
            parse_payload(text)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('{"a":1}', 0),
        ('{"ä":"e10"}', 0),
        ('{"a":1e5,"b":[1E+300 ,2.5e-0012\n]}', 317),
        ('{"a":0e99999999999}', 400),
        ('{"a":"7e9f","b":"3e30"}', 0),
    ],
)
def test_numbers_are_written_out_with_as_many_digits_as_their_exponents_say(
    text: str, more: int
) -> None:
    assert written_out_bytes(text) == len(text.encode()) + more


def test_a_text_of_digits_takes_no_longer_to_write_out_than_its_length() -> None:
    text = '{"a":"' + "1e" + "0" * 200_000 + '"}'
    began = time.thread_time()
    assert written_out_bytes(text) == len(text)
    assert time.thread_time() - began < 0.1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-99, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=20,
)


def _places(value: Any, largest: float) -> Iterator[str]:
    """All paths to numbers that are larger."""
    if isinstance(value, dict):
        for step, part in value.items():
            yield from (f".{step}{place}" for place in _places(part, largest))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from (f"[{index}]{place}" for place in _places(part, largest))
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > largest:
        yield ""


def _read(read: Callable[[], dict[str, Any]]) -> object:
    """What a text is read as, or its defect."""
    try:
        return read()
    except PayloadInvalid as defect:
        return f"{defect}", defect.place


@given(JSON, st.integers(1, 99))
def test_first_number_beyond_is_found_by_its_place(value: Any, largest: int) -> None:
    assert place_beyond(value, largest) == next(_places(value, largest), None)


@given(st.dictionaries(st.text("ab", max_size=2), JSON), st.sampled_from(["", "1e400", HUGE]))
def test_text_that_is_read_in_steps_is_read_alike(value: dict[str, Any], number: str) -> None:
    text = json.dumps(value | {"x": 0})[:-2] + f"{number or 0}}}"
    assert _read(lambda: at_once(parse_steps(text))) == _read(lambda: parse_payload(text))


@pytest.mark.parametrize("number", ["1e400", HUGE])
def test_many_objects_are_looked_at_in_steps(number: str) -> None:
    text = json.dumps({"a": [{"b": 1}] * 25_000})[:-2] + f",{number}]}}"
    count = 0

    def counted() -> Iterator[None]:
        nonlocal count
        for _ in parse_steps(text):
            count += 1
            yield

    with pytest.raises(PayloadInvalid, match="no double"):
        list(counted())
    assert count > 20
