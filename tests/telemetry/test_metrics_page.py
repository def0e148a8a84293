"""docs/reference/metrics.md has a line for each metric of the catalogue, and no other."""

from pathlib import Path

import pytest

from jobsvc.telemetry.catalogue import SERVER_INSTRUMENTS, WORKER_INSTRUMENTS, Instrument
from tests.telemetry.support.prometheus import prometheus_name

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def line(instrument: Instrument) -> str:
    """The line of a metric in the table."""
    cells = (
        f"`{instrument.name}`",
        f"`{prometheus_name(instrument)}`",
        instrument.kind,
        instrument.unit,
        ", ".join(f"`{name}`" for name in instrument.attributes),
        instrument.description,
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _lines(heading: str) -> list[str]:
    text = _PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [found for found in text.splitlines() if found.startswith("| `")]


@pytest.mark.parametrize(
    ("heading", "instruments"),
    [("Of a server", SERVER_INSTRUMENTS), ("Of a worker", WORKER_INSTRUMENTS)],
)
def test_page_has_the_lines_of_the_catalogue(
    heading: str, instruments: tuple[Instrument, ...]
) -> None:
    assert _lines(heading) == [line(instrument) for instrument in instruments]


def test_names_are_unique() -> None:
    instruments = {*SERVER_INSTRUMENTS, *WORKER_INSTRUMENTS}
    assert len({instrument.name for instrument in instruments}) == len(instruments)


def test_no_unit_is_1() -> None:
    assert not [i.name for i in (*SERVER_INSTRUMENTS, *WORKER_INSTRUMENTS) if i.unit == "1"]
