"""What is wrong with single frames of a worker."""

import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.conformance.frame_rules import QUEUE, defect
from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.job_pb2 import JobError, JobProgress

LEASES = {"known"}


def subscribe(**fields: object) -> wire.WorkRequest:
    values: dict[str, object] = {
        "worker": wire.WorkerInfo(worker_id="w"),
        "queues": [wire.QueueSubscription(queue=QUEUE)],
        "window": 4,
        **fields,
    }
    return wire.WorkRequest(subscribe=wire.Subscribe(**values))  # type: ignore[arg-type]


def extend(**fields: object) -> wire.WorkRequest:
    item = wire.LeaseExtension(**{"lease_id": "known", **fields})  # type: ignore[arg-type]
    return wire.WorkRequest(extend_leases=wire.ExtendLeasesRequest(extensions=[item]))


def report(**result: object) -> wire.WorkRequest:
    outcome = wire.JobOutcome(**{"lease_id": "known", **result})  # type: ignore[arg-type]
    return wire.WorkRequest(report_outcomes=wire.ReportOutcomesRequest(outcomes=[outcome]))


def failure(**fields: object) -> wire.WorkRequest:
    error = JobError(**fields)  # type: ignore[arg-type]
    return report(failure=wire.JobFailure(error=error))


def acknowledge(sequence: int) -> wire.WorkRequest:
    return wire.WorkRequest(acknowledge=wire.Acknowledge(sequence=sequence))


@pytest.mark.parametrize(
    "frame",
    [
        acknowledge(7),
        wire.WorkRequest(set_window=wire.SetWindow(window=0)),
        extend(duration=Duration(seconds=5), progress=JobProgress(percent=100)),
        report(success=wire.JobSuccess()),
        report(cancelled=wire.JobCancelled(), progress=JobProgress(percent=0)),
        report(release=wire.JobRelease(delay=Duration(seconds=60), reason="later")),
        failure(code=2, reason="UPSTREAM_TIMEOUT"),
        wire.WorkRequest(report_outcomes=wire.ReportOutcomesRequest(succeeded_lease_ids=["known"])),
    ],
)
def test_frame_that_keeps_the_rules_has_no_defect(frame: wire.WorkRequest) -> None:
    assert defect(frame, False, 7, LEASES) == ""


def test_subscribe_that_keeps_the_rules_has_no_defect() -> None:
    assert defect(subscribe(lease_duration=Duration(seconds=30)), True, 0, LEASES) == ""


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (wire.WorkRequest(), "no kind"),
        (subscribe(), "twice"),
        (acknowledge(8), "frame 8"),
        (acknowledge(0), "frame 0"),
        (wire.WorkRequest(set_window=wire.SetWindow(window=-1)), "window"),
        (wire.WorkRequest(extend_leases=wire.ExtendLeasesRequest()), "0 items"),
        (wire.WorkRequest(report_outcomes=wire.ReportOutcomesRequest()), "0 items"),
        (extend(lease_id="other"), "not given"),
        (extend(duration=Duration(seconds=4)), "duration"),
        (extend(progress=JobProgress(percent=101)), "percent"),
        (extend(progress=JobProgress(message="x" * 501)), "message"),
        (report(lease_id="other", success=wire.JobSuccess()), "not given"),
        (report(), "no result"),
        (report(failure=wire.JobFailure()), "missing"),
        (failure(message="code is OK"), "OK"),
        (failure(code=2, reason="lower"), "reason"),
        (failure(code=2, message="x" * 4097), "too long"),
        (report(release=wire.JobRelease(delay=Duration(seconds=604801))), "delay"),
        (report(release=wire.JobRelease(reason="x" * 501)), "too long"),
        (report(cancelled=wire.JobCancelled(message="x" * 501)), "too long"),
        (
            wire.WorkRequest(
                report_outcomes=wire.ReportOutcomesRequest(succeeded_lease_ids=["other"])
            ),
            "not given",
        ),
    ],
)
def test_frame_that_breaks_a_rule_is_named(frame: wire.WorkRequest, words: str) -> None:
    assert words in defect(frame, False, 7, LEASES)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (acknowledge(1), "first frame was `acknowledge`"),
        (subscribe(worker=wire.WorkerInfo()), "0 characters"),
        (subscribe(worker=wire.WorkerInfo(worker_id="a\nb")), "control"),
        (subscribe(worker=wire.WorkerInfo(worker_id="w", version="x" * 65)), "too long"),
        (subscribe(queues=[]), "0 queues"),
        (subscribe(queues=[wire.QueueSubscription(queue="other")]), QUEUE),
        (subscribe(queues=[wire.QueueSubscription(queue=QUEUE, max_leases=-1)]), "negative"),
        (subscribe(window=10_001), "window"),
        (subscribe(held_lease_ids=["x"] * 10_001), "10001 held"),
        (subscribe(max_dispatch_leases=1001), "max_dispatch"),
        (subscribe(resume_token="x" * 65), "resume_token"),
        (subscribe(lease_duration=Duration(seconds=3601)), "lease_duration"),
    ],
)
def test_subscribe_that_breaks_a_rule_is_named(frame: wire.WorkRequest, words: str) -> None:
    assert words in defect(frame, True, 7, LEASES)
