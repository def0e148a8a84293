"""What a regular expression costs: an upper bound, found without running it. Pure."""

import re
from dataclasses import dataclass

_QUANTIFIER = re.compile(r"\*|\+|\?|\{(\d+)(,(\d*))?\}")
#: Escapes of more than two characters, and a class of characters as a whole.
_ATOM = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)|\\u\{[^}]*\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\c.|\\.|"
    r"\[\^?\]?(?:\\.|\[[^\]]*\]|[^\]\\])*+\]|.",
    re.DOTALL,
)
_GROUP_KIND = re.compile(r"\?(?:P?<\w+>|<?.)", re.DOTALL)
_ZERO_WIDTH = {"^", "$", r"\b", r"\B", r"\A", r"\z"}
#: Compiled, a Unicode property is as large as so many characters; a dot or a negated class as so
#: many. Measured.
_PROPERTY_SIZE, _WIDE_SIZE = 60, 6
#: Counts beyond are not told apart.
_MANY = 10**9


@dataclass(frozen=True, slots=True)
class PatternCost:
    """`positions` is how many characters the expression has when its repetitions are written out,
    `size` the same with large classes of characters counted as often as they are large.

    The engine keeps one position for each character of a text if there is a `single_path` through
    the expression, and at most all of them otherwise.
    """

    positions: int
    size: int
    single_path: bool

    @property
    def steps_per_byte(self) -> int:
        """Bound of the work for each byte of a text that is matched."""
        return 1 if self.single_path else max(1, self.positions)


def pattern_cost(pattern: str) -> PatternCost:
    """Returns the bound for an expression; what is none gets some bound as well."""
    counts = _Counts()
    groups: list[tuple[int, int, bool]] = []
    single = pattern.startswith("^")
    varies = False  # a part before has no fixed length
    at = 0
    while at < len(pattern):
        match = _ATOM.match(pattern, at)
        assert match is not None  # the last alternative matches any character
        atom, at = match[0], match.end()
        is_group = False
        if atom == "(":
            if kind := _GROUP_KIND.match(pattern, at):
                at = kind.end()
            single = single and not varies
            groups.append((counts.positions, counts.size, varies))
            counts = _Counts()
            varies = False
            continue
        if atom == ")" and groups:
            positions, size, varied_before = groups.pop()
            one, counts = counts, _Counts(positions, size)
            is_group = True
        elif atom == "|":
            single = False
            continue
        elif atom in _ZERO_WIDTH:
            continue
        else:
            one = _Counts(1, _size(atom))
            single = single and not varies
            varied_before = varies
        quantifier = _QUANTIFIER.match(pattern, at)
        times, fixed = _times(quantifier)
        if quantifier is not None:
            at = quantifier.end()
            if pattern.startswith(("?", "+"), at):
                at += 1
        if is_group and (not fixed or (varies and times > 1)):
            single = False
        varies = varies or varied_before or not fixed
        counts.add(one, times)
    return PatternCost(counts.positions, counts.size, single and not groups)


class _Counts:
    """Positions and size of a part of an expression."""

    def __init__(self, positions: int = 0, size: int = 0) -> None:
        self.positions = positions
        self.size = size

    def add(self, part: "_Counts", times: int) -> None:
        self.positions = min(_MANY, self.positions + part.positions * times)
        self.size = min(_MANY, self.size + part.size * times)


def _size(atom: str) -> int:
    if r"\p" in atom or r"\P" in atom:
        return _PROPERTY_SIZE
    return (
        _WIDE_SIZE if atom == "." or atom.startswith("[^") or atom in (r"\D", r"\W", r"\S") else 1
    )


def _times(quantifier: re.Match[str] | None) -> tuple[int, bool]:
    """How often a part is written out, and whether it stands there just as often."""
    if quantifier is None:
        return 1, True
    if quantifier[1] is None:
        return 1, False
    least = min(_MANY, int(quantifier[1][:10]))
    if quantifier[2] is None:
        return least, True
    most = min(_MANY, int(quantifier[3][:10])) if quantifier[3] else 0
    return max(1, least, most), most == least and quantifier[3] != ""
