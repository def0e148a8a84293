"""Settings of the replicas under test."""

from jobsvc.settings import Settings

#: Short enough for tests that wait for the real thing; the rules between settings still hold.
TEST_SETTINGS = Settings(
    listen="127.0.0.1:0",
    rescue_interval_seconds=0.1,
    poll_interval_seconds=0.2,
    prune_interval_seconds=0.1,
    acknowledge_seconds=1.0,
    drain_seconds=3.0,
    heartbeat_interval_seconds=5.0,
    pool_size=4,
)
