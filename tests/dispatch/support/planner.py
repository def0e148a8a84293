"""Workers, claims and their ends, for tests of the planner."""

from jobsvc.dispatch.planner import Claim, ClaimPlanner
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import QueuePosition
from tests.support.samples import NOW

POSITION = QueuePosition(0, NOW)


def worker(name: str = "w", window: int = 1, **limits: int) -> Subscription:
    return Subscription(name, limits or {"q": 0}, window)


def slots(claims: list[Claim]) -> dict[str, list[str]]:
    return {claim.queue: [s.worker_id for s in claim.slots] for claim in claims}


def end(planner: ClaimPlanner, claim: Claim, count: int) -> None:
    """Ends a claim that brings `count` jobs, as the claim loop does."""
    planner.completed(claim, count, 0, None, 0.0)
    planner.release(claim, count)


def ask(planner: ClaimPlanner, now: float) -> Claim:
    planner.wake(["q"])
    (claim,) = planner.plan(now)
    return claim


def back_up(planner: ClaimPlanner, size: int) -> Claim:
    """Lets four claims bring as many jobs (of this size) as they ask for, so that they grow to the
    largest size. Returns the last of them."""
    for _ in range(4):
        claim = ask(planner, 0.0)
        count = len(claim.slots)
        planner.completed(claim, count, count * size, POSITION, 0.0)
        planner.release(claim, count)
    return claim
