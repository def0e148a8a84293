"""Names in spans and metrics are an interface: dashboards and alerts depend on them."""

from jobsvc import telemetry


def test_names_of_attributes_and_metrics_stay() -> None:
    assert telemetry.JOB_ATTEMPT == "jobsvc.job.attempt"
    assert telemetry.JOB_STATE == "jobsvc.job.state"
    assert telemetry.WORKER_ID == "jobsvc.worker.id"
    assert telemetry.LOOP_LAG == "jobsvc.loop.lag"
