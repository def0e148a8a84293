"""deploy/prometheus: valid, about metrics that there are, and each alert fires when it must."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.alerts.support.cases import CASES, Case, Series
from tests.alerts.support.rules import ROOT, RULES, Rule, alerts, names_in, rules
from tests.telemetry.support.prometheus import all_names

promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: the package prometheus is not installed"
)
#: What Prometheus says by itself.
_OF_PROMETHEUS = {"up"}


def check(*arguments: str, folder: Path) -> None:
    """Runs promtool, which must be content."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_rules_and_the_example_of_a_prometheus_are_valid() -> None:
    check("check", "rules", "--lint-fatal", RULES.name, folder=RULES.parent)
    check("check", "config", "--lint-fatal", "prometheus.yaml", folder=RULES.parent)


def test_recipe_for_kubernetes_finds_the_port_of_the_manifest() -> None:
    # Debian's promtool knows no Kubernetes.
    yaml = pytest.importorskip("yaml", reason="no reader of YAML: make setup")
    page = (ROOT / "docs/operations/kubernetes.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^  ```yaml\n(  - job_name: jobsvc\n.+?)^  ```$", page, re.M | re.S)
    (recipe,) = yaml.safe_load(text)
    (kept,) = recipe["relabel_configs"]
    assert (kept["regex"], kept["action"]) == ("metrics", "keep")
    manifest = (ROOT / "deploy/kubernetes/base/server.yaml").read_text(encoding="utf-8")
    assert "{name: metrics, containerPort: 9464}" in manifest
    assert 'JOBSVC_HTTP_LISTEN, value: "0.0.0.0:9464"' in manifest


def test_every_metric_of_a_rule_is_said_by_a_server_or_a_worker() -> None:
    known = all_names() | _OF_PROMETHEUS | {rule["record"] for rule in rules() if "record" in rule}
    used = {name for rule in rules() for name in names_in(rule["expr"])}
    assert used - known == set()
    # Nothing is recorded for nobody.
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert recorded - used == {"queue:jobsvc_jobs_created:increase15m"} - used


def summary(rule: Rule, labels: dict[str, str]) -> str:
    """What an alert says, with these labels."""
    return re.sub(
        r"\{\{ \$labels\.(\w+) \}\}", lambda m: labels[m[1]], rule["annotations"]["summary"]
    )


def _block(case: Case, series: Series, when: int, is_firing: bool) -> dict[str, object]:
    rule = alerts()[case.alert]
    expected = {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {**rule["annotations"], "summary": summary(rule, case.labels)},
    }
    return {
        "name": f"{case.alert} at {when}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{when}m",
                "alertname": case.alert,
                "exp_alerts": [expected] if is_firing else [],
            }
        ],
    }


def _blocks(case: Case) -> Iterator[dict[str, object]]:
    yield _block(case, case.fires, case.at, True)
    if case.not_yet is not None:
        yield _block(case, case.fires, case.not_yet, False)
    for series in case.calm:
        yield _block(case, series, case.at, False)


@promtool
def test_alerts_fire_when_they_must_and_else_not(tmp_path: Path) -> None:
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [block for case in CASES for block in _blocks(case)],
    }
    # JSON is YAML.
    (tmp_path / "tests.yaml").write_text(json.dumps(document))
    check("test", "rules", "tests.yaml", folder=tmp_path)


def test_every_alert_is_tried_in_their_order() -> None:
    tried = [case.alert for case in CASES]
    assert [a for a, b in pairwise([*tried, ""]) if a != b] == list(alerts())
    assert all(case.calm for case in CASES)


def test_every_alert_says_how_urgent_it_is_and_leads_to_its_section() -> None:
    page = (ROOT / "docs/operations/runbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (Jobsvc\w+)$", page, re.MULTILINE)
    assert sections == list(alerts())
    for name, rule in alerts().items():
        assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"}), name
        assert rule["annotations"]["runbook_url"] == (
            f"docs/operations/runbook.md#{name.lower()}"
        ), name
        section = page.split(f"\n### {name}\n")[1].partition("\n#")[0]
        assert f"**{rule['labels']['severity']}**" in section, name
