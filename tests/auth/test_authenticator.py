"""Credentials that were verified once: how long they are known, and what makes them forgotten."""

from pathlib import Path

import pytest

from jobsvc.auth.authenticator import SKEW_SECONDS, Authenticator
from jobsvc.auth.jwks import IssuerKeys
from jobsvc.auth.jwt import JwtVerifier
from jobsvc.domain.access_policy import Policy, Rule
from jobsvc.domain.errors import CredentialsInvalid, CredentialsMissing
from jobsvc.domain.identity import Principal
from tests.support.issuer import AUDIENCE, NAME, Issuer


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class CountingVerifier(JwtVerifier):
    """Counts what it is asked."""

    count = 0

    async def verify(self, token: str) -> Principal:
        self.count += 1
        return await super().verify(token)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def good(issuer: Issuer) -> str:
    """What a call carries that is good until 1000."""
    return f"Bearer {issuer.token('web', exp=1000, iat=0)}"


@pytest.fixture
def bad() -> str:
    """The same of somebody else."""
    return f"Bearer {Issuer().token('web', exp=1000, iat=0)}"


@pytest.fixture
def verifier(tmp_path: Path, issuer: Issuer, clock: Clock) -> CountingVerifier:
    issuer.write(tmp_path / "keys.json")
    keys = IssuerKeys(str(tmp_path / "keys.json"), lambda: None)
    return CountingVerifier(keys, NAME, AUDIENCE, ["ES256"], clock)


@pytest.fixture
def authenticator(clock: Clock, verifier: CountingVerifier) -> Authenticator:
    made = Authenticator(clock)
    made.tokens = verifier
    return made


async def test_token_is_verified_once_until_it_ends(
    authenticator: Authenticator, verifier: CountingVerifier, clock: Clock, good: str
) -> None:
    assert authenticator.known(good, "") is None
    first = await authenticator.identify(good, "")
    assert await authenticator.identify(good, "") is first
    assert authenticator.known(good, "") is first
    assert verifier.count == 1
    clock.now = 1000.0 + SKEW_SECONDS
    assert authenticator.known(good, "") is None
    with pytest.raises(CredentialsInvalid, match="expired"):
        await authenticator.identify(good, "")
    assert verifier.count == 2


async def test_what_was_refused_is_not_remembered_as_good(
    authenticator: Authenticator, verifier: CountingVerifier, bad: str
) -> None:
    for _ in range(2):
        with pytest.raises(CredentialsInvalid):
            await authenticator.identify(bad, "")
        assert authenticator.known(bad, "") is None
    assert verifier.count == 2


async def test_policy_changes_what_is_known_without_another_verification(
    authenticator: Authenticator, verifier: CountingVerifier, good: str
) -> None:
    assert (await authenticator.identify(good, "")).roles == frozenset()
    authenticator.take_policy(Policy((Rule(identity="jwt:*", roles=("jobs.viewer",)),)))
    assert authenticator.changed.is_set()
    assert authenticator.known(good, "") is None
    assert (await authenticator.identify(good, "")).roles == {"jobs.viewer"}
    assert verifier.count == 1


async def test_keys_that_change_make_their_own_kind_forgotten(
    authenticator: Authenticator, verifier: CountingVerifier, good: str
) -> None:
    await authenticator.identify(good, "")
    authenticator.forget("key:")
    await authenticator.identify(good, "")
    assert verifier.count == 1
    authenticator.forget("jwt:")
    await authenticator.identify(good, "")
    assert verifier.count == 2


async def test_identity_that_was_known_is_not_any_more_after_its_end_or_any_change(
    authenticator: Authenticator, clock: Clock, good: str
) -> None:
    identity, version = await authenticator.identify(good, ""), authenticator.version
    assert authenticator.still_knows(identity, version)
    clock.now = 1000.0 + SKEW_SECONDS
    assert not authenticator.still_knows(identity, version)
    clock.now = 0.0
    for change in (
        lambda: authenticator.take_policy(Policy()),
        lambda: authenticator.forget("jwt:"),
        lambda: authenticator.forget("key:"),
    ):
        assert authenticator.still_knows(identity, version := authenticator.version)
        change()
        assert not authenticator.still_knows(identity, version)


async def test_certificate_is_asked_only_without_authorization(
    authenticator: Authenticator, good: str, bad: str
) -> None:
    assert (await authenticator.identify("", "spiffe://a/b")).name == "spiffe://a/b"
    assert (
        await authenticator.identify(good.replace("Bearer", "bearer"), "spiffe://a/b")
    ).name == "jwt:web"
    with pytest.raises(CredentialsInvalid):
        await authenticator.identify(bad, "spiffe://a/b")
    with pytest.raises(CredentialsMissing):
        await authenticator.identify("", "")


async def test_kind_that_is_not_accepted_is_refused(
    authenticator: Authenticator, good: str
) -> None:
    with pytest.raises(CredentialsInvalid, match="API keys are not accepted"):
        await authenticator.identify(f"Bearer jobsvc_{'0' * 12}_{'A' * 43}", "")
    authenticator.tokens = None
    with pytest.raises(CredentialsInvalid, match="tokens are not accepted"):
        await authenticator.identify(good, "")
