"""The metrics of several processes are those of each, with one more label."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.processes.merged_metrics import LABEL, merge

client = pytest.importorskip("prometheus_client")


def test_lines_about_a_metric_come_once_before_all_of_its_samples() -> None:
    one = "# HELP a_total Things\n# TYPE a_total counter\na_total 1.0\n"
    two = (
        "# HELP b Others\n# TYPE b gauge\nb{} 1.0\n# HELP a_total Things, newer\n# TYPE a_total"
        ' counter\na_total{x="{"} 2.0\n'
    )
    assert merge({1: two, 0: one}) == (
        "# HELP a_total Things\n# TYPE a_total counter\n"
        'a_total{process="0"} 1.0\na_total{process="1",x="{"} 2.0\n'
        '# HELP b Others\n# TYPE b gauge\nb{process="1"} 1.0\n'
    )
    assert merge({}) == ""


NAMES = st.sampled_from(["jobs", "calls", "lag"])
VALUES = st.floats(0, 1e6)


@st.composite
def registries(draw: st.DrawFn) -> object:
    """What one process measures."""
    registry = client.CollectorRegistry()
    for name in draw(st.sets(NAMES)):
        queues = draw(st.lists(st.text(), unique=True, max_size=3))
        counter = client.Counter(name, "Text\n", ["queue"], registry=registry)
        histogram = client.Histogram(f"{name}_seconds", "Text", ["queue"], registry=registry)
        for queue in queues:
            counter.labels(queue).inc(draw(VALUES))
            histogram.labels(queue).observe(draw(VALUES))
    if draw(st.booleans()):
        client.Gauge("no_label", "Text", registry=registry).set(draw(VALUES))
    return registry


def families(text: str) -> Iterable[tuple[str, str, list[tuple[str, dict[str, str], float]]]]:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        yield family.name, family.type, [(s.name, s.labels, s.value) for s in family.samples]


@given(st.lists(registries(), max_size=3))
def test_reader_finds_the_samples_of_each_process_in_one_family(found: list[object]) -> None:
    texts = {n: client.generate_latest(registry).decode() for n, registry in enumerate(found)}
    merged = list(families(merge(texts)))
    assert len(merged) == len({name for name, _, _ in merged})
    expected = {
        (family, kind, sample, *sorted({**labels, LABEL: str(n)}.items()), value)
        for n, text in texts.items()
        for family, kind, samples in families(text)
        for sample, labels, value in samples
    }
    assert expected == {
        (family, kind, sample, *sorted(labels.items()), value)
        for family, kind, samples in merged
        for sample, labels, value in samples
    }
