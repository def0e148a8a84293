"""The rules of deploy/prometheus, and what is said about an alert in each of the places."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules.yaml"

Rule = dict[str, Any]  # As YAML has it.


def rules() -> list[Rule]:
    """All rules, in their order."""
    yaml = pytest.importorskip("yaml", reason="no reader of YAML: make setup")
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, Rule]:
    """The rules that are alerts, by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def names_in(expression: str) -> Iterator[str]:
    """The metrics of an expression: what has its labels in braces, is a range, or stands alone."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    # Names of labels: in braces, and in the lists of by, on and the like.
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", "", bare)
    for word in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b", bare):
        if "_" in word or ":" in word or word == "up":
            yield word
