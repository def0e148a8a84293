"""Settings that contradict each other, and certificates, are told at their limits."""

from datetime import UTC, datetime, timedelta

import pytest

from jobsvc.domain.certificate import Validity
from jobsvc.domain.finding import Check
from jobsvc.domain.settings_checks import (
    check_certificates,
    check_contradictions,
    check_names,
    contradictions,
)
from jobsvc.settings import Settings

_NOW = datetime(2026, 12, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def valid(begin_days: float, end_days: float) -> Validity:
    """A certificate that begins and ends so many days from now."""
    return Validity(_NOW + begin_days * _DAY, _NOW + end_days * _DAY)


def test_defaults_do_not_contradict_each_other() -> None:
    assert list(check_contradictions(contradictions(Settings()))) == []


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("initial_backoff_seconds", "max_backoff_seconds"),
        ("acknowledge_seconds", "lease_seconds"),
        ("rescue_interval_seconds", "lease_seconds"),
        ("poll_interval_seconds", "lease_seconds"),
    ],
)
def test_setting_above_what_bounds_it_is_told(name: str, limit: str) -> None:
    most = getattr(Settings(), limit)
    assert list(contradictions(Settings(**{name: most}))) == []
    (told,) = contradictions(Settings(**{name: most + 1}))
    assert told == f"JOBSVC_{name.upper()} is {most + 1:g}, above JOBSVC_{limit.upper()} ({most:g})"


def test_misspelt_setting_is_told() -> None:
    assert list(check_names("")) == []
    (found,) = check_names("no such setting: JOBSVC_PIOL_SIZE (rather JOBSVC_POOL_SIZE?)")
    assert found.kind == Check.SETTING_UNKNOWN
    assert "JOBSVC_PIOL_SIZE (rather JOBSVC_POOL_SIZE?)" in found.text


@pytest.mark.parametrize(
    ("dates", "kind", "text"),
    [
        ([valid(-60, 30)], None, ""),
        ([valid(-80, 15)], None, ""),
        ([valid(-80, 13)], Check.CERTIFICATE_ENDS, "ends in 13 days"),
        # Those that last for a day are renewed each day.
        ([valid(-0.5, 0.5)], None, ""),
        ([valid(-0.9, 0.1)], Check.CERTIFICATE_ENDS, "ends in 2 hours"),
        ([valid(-80, -3)], Check.CERTIFICATE_INVALID, "ended 3 days ago"),
        ([valid(-80, 0)], Check.CERTIFICATE_INVALID, "ended 0 hours ago"),
        ([valid(0.25, 90)], Check.CERTIFICATE_INVALID, "begins in 6 hours"),
        # One of the chain.
        ([valid(-60, 30), valid(-300, -1)], Check.CERTIFICATE_INVALID, "ended 24 hours ago"),
        ([], None, ""),
    ],
)
def test_certificates_are_told_before_and_after_their_end(
    dates: list[Validity], kind: Check | None, text: str
) -> None:
    found = list(check_certificates("it", dates, _NOW))
    assert [one.kind for one in found] == ([kind] if kind else [])
    assert all(f"it {text}" in one.text for one in found)


@pytest.mark.parametrize(
    ("dates", "kind"),
    [
        ([valid(-300, -1), valid(-1, 300)], None),
        ([valid(-300, 1), valid(1, 300)], None),
        ([valid(-300, -1), valid(-300, 5)], Check.CERTIFICATE_ENDS),
        ([valid(-300, -1), valid(-300, -2)], Check.CERTIFICATE_INVALID),
        ([valid(1, 300), valid(2, 300)], Check.CERTIFICATE_INVALID),
    ],
)
def test_one_authority_that_holds_is_enough(dates: list[Validity], kind: Check | None) -> None:
    found = list(check_certificates("it", dates, _NOW, is_bundle=True))
    assert [one.kind for one in found] == ([kind] if kind else [])
