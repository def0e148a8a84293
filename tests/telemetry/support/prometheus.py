"""Metrics as Prometheus has them: what a metric is called there, and what a server says."""

import re
import urllib.request
from dataclasses import dataclass, field

from jobsvc.telemetry.catalogue import (
    SERVER_INSTRUMENTS,
    WORKER_INSTRUMENTS,
    Instrument,
    Kind,
)

_SUFFIXES = {"s": "_seconds", "By": "_bytes"}
_SAMPLE = re.compile(r"([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"')


def prometheus_name(instrument: Instrument) -> str:
    """The name of a metric in Prometheus."""
    name = instrument.name.replace(".", "_") + _SUFFIXES.get(instrument.unit, "")
    return f"{name}_total" if instrument.kind is Kind.COUNTER else name


def all_names() -> set[str]:
    """The names of all series of servers and workers."""
    found = set()
    for instrument in (*SERVER_INSTRUMENTS, *WORKER_INSTRUMENTS):
        name = prometheus_name(instrument)
        parts = ("_bucket", "_sum", "_count") if instrument.kind is Kind.HISTOGRAM else ("",)
        found |= {name + part for part in parts}
    return found


def head(instrument: Instrument) -> tuple[str, str]:
    """The lines that come before the values of a metric."""
    name = prometheus_name(instrument)
    return (
        f"# HELP {name} {instrument.description}",
        f"# TYPE {name} {instrument.kind}",
    )


@dataclass
class Scrape:
    """What a server said."""

    #: The lines before the values, those of each metric together.
    heads: set[tuple[str, str]] = field(default_factory=set)
    #: The sets of labels, without `le`, by name.
    labels: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    #: The upper bounds of buckets, by name.
    bounds: dict[str, set[str]] = field(default_factory=dict)
    #: Each value, by name and labels as they are written.
    values: dict[str, float] = field(default_factory=dict)

    def value(self, name: str, **labels: str) -> float:
        """The value of a series; 0 if there is none."""
        written = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        return self.values.get(f"{name}{{{written}}}" if written else name, 0.0)


def scrape(url: str) -> Scrape:
    """Reads the metrics of a server."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    found, help_, name = Scrape(), "", ""
    for line in lines:
        if line.startswith("# HELP "):
            help_ = line
        elif line.startswith("# TYPE "):
            found.heads.add((help_, line))
            name = line.split(" ")[2]
        else:
            parsed = _SAMPLE.fullmatch(line)
            assert parsed, line
            labels = dict(_LABEL.findall(parsed[2] or ""))
            assert parsed[1].startswith(name), line
            if "le" in labels:
                found.bounds.setdefault(name, set()).add(labels.pop("le"))
            found.labels.setdefault(name, set()).add(tuple(sorted(labels)))
            found.values[line.rpartition(" ")[0]] = float(parsed[3])
    return found
