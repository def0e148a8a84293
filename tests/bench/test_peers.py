"""The peers are what their packages say."""

import json
import re
from pathlib import Path

from bench.scenarios.catalog import SCENARIOS
from bench.systems.peers import PEERS

FOLDER = Path(__file__).parents[2] / "bench" / "peers"


def test_versions_shown_are_the_versions_installed() -> None:
    installed = set(json.loads((FOLDER / "node/package.json").read_text())["dependencies"].values())
    installed |= set(re.findall(r"==(\S+)", (FOLDER / "python/requirements.txt").read_text()))
    installed |= set(re.findall(r"river v(\S+)", (FOLDER / "river/go.mod").read_text()))
    assert {peer.version for peer in PEERS} <= installed


def test_readme_names_each_peer_and_its_version() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert [p.name for p in PEERS if f"| {p.name} | {p.version} |" not in readme] == []


def test_scenarios_are_those_of_the_plan() -> None:
    assert {scenario for peer in PEERS for scenario in peer.scenarios} <= set(SCENARIOS)
