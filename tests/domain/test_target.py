"""Targets: a port that does not exist is refused."""

import pytest

from jobsvc.domain.target import check_target


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:50051", "[::1]:65535", "jobs.internal", "dns:///jobs:1", "unix:/run/jobs:70000"],
)
def test_target_that_can_be_called_is_taken(target: str) -> None:
    check_target(target)


@pytest.mark.parametrize("target", ["127.0.0.1:65536", "[::1]:70000", "dns:///jobs:99999999999"])
def test_port_that_does_not_exist_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="the port must be at most 65535"):
        check_target(target)
