"""Numbers as a line of bars, and in few characters. Pure."""

from collections.abc import Sequence

#: From zero to the largest; zero has a bar of its own, so that the rest can be told from it.
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.:-=+*#"
#: What encodes all of the former.
_UNICODE = ("utf-8", "utf-16", "utf-32", "utf8")


def sparkline(values: Sequence[float | None], encoding: str) -> str:
    """Returns a bar for each value, in relation to the largest; a blank for None. In ASCII unless
    `encoding` is one of Unicode."""
    bars = _BARS if encoding.lower().startswith(_UNICODE) else _ASCII_BARS
    largest = max((value for value in values if value is not None), default=0)
    return "".join(" " if value is None else _bar(bars, value, largest) for value in values)


def _bar(bars: str, value: float, largest: float) -> str:
    if value <= 0:
        return bars[0]
    return bars[1 + min(int(value / largest * (len(bars) - 1)), len(bars) - 2)]


def short_number(value: float) -> str:
    """Returns a number that is not negative in at most four characters, below 10^15."""
    if value < 10:
        # 9.96 would become 10.0.
        return f"{value:.1f}".removesuffix(".0") if value < 9.95 else "10"
    for size, unit in ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        number = value / size
        if unit and number < 9.95:
            return f"{number:.1f}".removesuffix(".0") + unit
        if number < 999.5:
            return f"{number:.0f}{unit}"
    return "many"


def short_duration(seconds: float) -> str:
    """Returns a length of time in at most four characters, below 1,000 days."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for size, next_size, unit in ((1, 120, "s"), (60, 7200, "m"), (3600, 172_800, "h")):
        if round(seconds / size) * size < next_size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86_400:.0f}d"
