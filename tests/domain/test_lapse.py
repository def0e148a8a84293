"""How leases end without a report of their worker."""

from datetime import UTC, datetime, timedelta

from jobsvc.domain.lapse import Lapse, lapse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_lease_lapses_at_its_very_end() -> None:
    later = NOW + timedelta(hours=1)
    assert lapse(NOW + SECOND, later, NOW) is None
    assert lapse(NOW, later, NOW) is Lapse.LEASE_EXPIRED
    assert lapse(later, NOW, NOW) is Lapse.ATTEMPT_TIMEOUT


def test_time_after_a_cancel_request_is_its_grace() -> None:
    later = NOW + timedelta(hours=1)
    assert lapse(later, NOW, NOW, cancel_requested=True) is Lapse.CANCEL_GRACE
    assert lapse(NOW, later, NOW, cancel_requested=True) is Lapse.LEASE_EXPIRED
    assert lapse(later, later, NOW, cancel_requested=True) is None


def test_running_out_of_time_comes_before_silence() -> None:
    assert lapse(NOW - SECOND, NOW, NOW) is Lapse.ATTEMPT_TIMEOUT
