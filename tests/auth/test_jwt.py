"""Tokens that somebody would like to pass off as those of the issuer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from jobsvc.auth.authenticator import SKEW_SECONDS
from jobsvc.auth.jwks import IssuerKeys
from jobsvc.auth.jwt import JwtVerifier
from jobsvc.domain.errors import CredentialsInvalid
from tests.support.issuer import AUDIENCE, NAME, Issuer

Make = Callable[..., JwtVerifier]
NOW = 1_900_000_000


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def make(tmp_path: Path, issuer: Issuer) -> Make:
    """Makes a verifier whose clock says what it is told."""
    issuer.write(tmp_path / "keys.json")

    def made(now: float = NOW, algorithms: tuple[str, ...] = ("ES256",)) -> JwtVerifier:
        keys = IssuerKeys(str(tmp_path / "keys.json"), lambda: None)
        return JwtVerifier(keys, NAME, AUDIENCE, algorithms, lambda: now)

    return made


async def test_token_proves_its_subject_with_its_claims(make: Make, issuer: Issuer) -> None:
    token = issuer.token(
        "web", ("a", "b"), exp=NOW + 60, iat=NOW, scope="read write", number=7, list=[1, "x"]
    )
    principal = await make().verify(token)
    assert principal.name == "jwt:web"
    assert principal.end_time == NOW + 60
    claims = dict(principal.claims)
    assert claims["roles"] == ("a", "b")
    assert claims["scope"] == ("read", "write")
    assert claims["list"] == ("x",)
    assert "number" not in claims


async def test_audience_may_be_one_of_several(make: Make, issuer: Issuer) -> None:
    token = issuer.token(exp=NOW + 60, iat=NOW, aud=["x", AUDIENCE])
    assert (await make().verify(token)).name == "jwt:web"


@pytest.mark.parametrize("seconds", [-SKEW_SECONDS, SKEW_SECONDS - 1])
async def test_clocks_may_differ(make: Make, issuer: Issuer, seconds: int) -> None:
    token = issuer.token(exp=NOW + 60, nbf=NOW, iat=NOW)
    edge = NOW + seconds if seconds < 0 else NOW + 60 + seconds
    assert (await make(edge).verify(token)).name == "jwt:web"
    beyond = edge - 1 if seconds < 0 else edge + 1
    with pytest.raises(CredentialsInvalid):
        await make(beyond).verify(token)


async def test_public_key_is_no_shared_secret(make: Make, issuer: Issuer, tmp_path: Path) -> None:
    (key,) = json.loads((tmp_path / "keys.json").read_text())["keys"][-1:]
    secret = OctKey.import_key(json.dumps(key))
    claims = {"iss": NAME, "aud": AUDIENCE, "sub": "web", "exp": NOW + 60}
    forged = jwt.encode({"alg": "HS256", "kid": key["kid"]}, claims, secret, ["HS256"])
    with pytest.raises(CredentialsInvalid, match="algorithm"):
        await make().verify(forged)


async def test_algorithm_must_be_on_the_list(make: Make, issuer: Issuer) -> None:
    token = issuer.token(exp=NOW + 60, iat=NOW)
    with pytest.raises(CredentialsInvalid, match="algorithm"):
        await make(algorithms=("RS256",)).verify(token)


@pytest.mark.parametrize("subject", ["a b", "ü", "", "a\n", "x" * 300])
async def test_subject_that_could_be_mistaken_is_refused(
    make: Make, issuer: Issuer, subject: str
) -> None:
    with pytest.raises(CredentialsInvalid):
        await make().verify(issuer.token(subject, exp=NOW + 60, iat=NOW))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "e30.e30.", "\x00", "é.é.é", "." * 5000])
async def test_garbage_is_refused(make: Make, token: str) -> None:
    with pytest.raises(CredentialsInvalid, match=r"malformed|algorithm"):
        await make().verify(token)


async def test_refusal_says_no_more_of_a_token_that_the_issuer_has_not_signed(make: Make) -> None:
    stranger = Issuer()
    for life in (60, -60):
        with pytest.raises(CredentialsInvalid) as refused:
            await make().verify(stranger.token(exp=NOW + life, iat=NOW))
        assert str(refused.value) == "the token is not signed with a key of the issuer"
