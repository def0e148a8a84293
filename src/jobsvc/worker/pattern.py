"""Writes a Python pattern so that every validator reads it alike. Pure."""

import re
from re import _constants as code  # type: ignore[attr-defined]  # the parser behind `re`
from re import _parser  # type: ignore[attr-defined]
from typing import Any

#: What `\d`, `\w` and `\s` are in a schema: the part that no language disputes.
_CLASSES = {
    code.CATEGORY_DIGIT: "0-9",
    code.CATEGORY_WORD: "A-Za-z0-9_",
    code.CATEGORY_SPACE: r" \t\n\r\f\v",
}
#: What may be white space in any language.
_ALL_SPACE = r"\s\x1c-\x1f\x85"
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_CONTROLS = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\f": r"\f", "\v": r"\v"}
_ATOMS = (code.LITERAL, code.NOT_LITERAL, code.ANY, code.IN, code.BRANCH, code.SUBPATTERN)
_SHORT = {(0, code.MAXREPEAT): "*", (1, code.MAXREPEAT): "+", (0, 1): "?"}


class PatternInvalid(Exception):
    """A pattern means different things in different languages. The text says which part does."""


def portable_pattern(pattern: str) -> str:
    r"""Returns a pattern that finds nothing in a text where `re.search(pattern, text)` does not.

    It finds all that the other one finds, except that `\d`, `\w` and `\s` stand for
    ASCII only, and `$` for the very end.

    Raises:
        PatternInvalid: a part of it has no such form.
    """
    parsed = _parser.parse(pattern)
    if parsed.state.flags & ~re.UNICODE:
        raise PatternInvalid("has flags, such as (?i)")
    return _sequence(parsed)


# Any, below: the parser has no types.


def _sequence(items: Any) -> str:
    return "".join(_item(kind, value) for kind, value in items)


def _item(kind: Any, value: Any) -> str:
    if kind is code.LITERAL:
        return _character(value)
    if kind is code.NOT_LITERAL:
        return f"[^{_in_class(value)}]"
    if kind is code.ANY:
        return r"[^\n]"
    if kind is code.IN:
        return _class(value)
    if kind is code.BRANCH:
        return "(?:" + "|".join(_sequence(branch) for branch in value[1]) + ")"
    if kind is code.SUBPATTERN:
        _, added, removed, items = value
        if added or removed:
            raise PatternInvalid("has flags, such as (?i:a)")
        text = _sequence(items)
        return text if len(items) == 1 and items[0][0] is code.BRANCH else f"(?:{text})"
    if kind in (code.MAX_REPEAT, code.MIN_REPEAT):
        return _repeat(value) + ("?" if kind is code.MIN_REPEAT else "")
    if kind is code.AT:
        return _anchor(value)
    if kind in (code.ASSERT, code.ASSERT_NOT, code.GROUPREF):
        raise PatternInvalid("has a look-around or back-reference, which takes more than one pass")
    raise PatternInvalid(f"has a part that not every language knows ({str(kind).lower()})")


def _repeat(value: Any) -> str:
    least, most, items = value
    text = _sequence(items)
    alone = len(items) == 1 and items[0][0] in _ATOMS
    if least == most:
        count = f"{{{least}}}"
    else:
        count = f"{{{least},{'' if most is code.MAXREPEAT else most}}}"
    return (text if alone else f"(?:{text})") + _SHORT.get((least, most), count)


def _anchor(value: Any) -> str:
    if value in (code.AT_BEGINNING, code.AT_BEGINNING_STRING):
        return "^"
    if value in (code.AT_END, code.AT_END_STRING):
        return "$"
    raise PatternInvalid(r"has \b or \B, whose words are not the same in every language")


def _class(items: Any) -> str:
    negated = items[0][0] is code.NEGATE
    if items == [(code.CATEGORY, code.CATEGORY_NOT_SPACE)]:
        return f"[^{_ALL_SPACE}]"
    inside = []
    for kind, value in items[1:] if negated else items:
        if kind is code.LITERAL:
            inside.append(_in_class(value))
        elif kind is code.RANGE:
            inside.append("-".join(map(_in_class, value)))
        elif value is code.CATEGORY_SPACE and negated:
            inside.append(_ALL_SPACE)
        elif value in _CLASSES and not negated:
            inside.append(_CLASSES[value])
        else:
            raise PatternInvalid(
                r"has a class, such as \D or \W, whose characters are not the same in every"
                " language; write them out, such as [^0-9]"
            )
    return f"[{'^' if negated else ''}{''.join(inside)}]"


def _in_class(number: int) -> str:
    # Some languages have operators of sets, `&&` and `~~`.
    character = chr(number)
    return f"\\x{number:02x}" if character in "&~" else _character(number, _SYNTAX | {"-"})


def _character(number: int, syntax: frozenset[str] = _SYNTAX) -> str:
    character = chr(number)
    if character in _CONTROLS:
        return _CONTROLS[character]
    if number < 32 or number == 127:
        return f"\\x{number:02x}"
    return "\\" + character if character in syntax else character
