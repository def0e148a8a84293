"""Of lines that repeat themselves, one in a while is told, with the number of the others."""

from jobsvc.store.repeated_lines import EVERY_SECONDS, RepeatedLines


def test_kinds_have_a_line_each_in_a_while() -> None:
    lines = RepeatedLines()
    assert [lines.missed("a", 100 + n / 10) for n in range(5)] == [0, None, None, None, None]
    assert lines.missed("b", 100) == 0
    assert lines.missed("a", 100 + EVERY_SECONDS) == 4
    assert lines.missed("a", 100 + 2 * EVERY_SECONDS) == 0
