"""The keys of an issuer: fetched rarely, never let go by a failure, and never trusted blindly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, KeySet, OctKey

from jobsvc.auth.jwks import QUIET_SECONDS, IssuerKeys, read_keys
from jobsvc.auth.jwt import JwtVerifier
from jobsvc.auth.watched_files import FileUnusable
from jobsvc.domain.errors import CredentialsInvalid
from tests.support.issuer import AUDIENCE, NAME, Issuer, KeyServer
from tests.support.probe import eventually


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def key_server(issuer: Issuer) -> AsyncIterator[KeyServer]:
    async with KeyServer(issuer).serving() as serving:
        yield serving


@asynccontextmanager
async def running(keys: IssuerKeys) -> AsyncIterator[JwtVerifier]:
    """A verifier whose keys are fetched."""
    task = asyncio.ensure_future(keys.run())
    yield JwtVerifier(keys, NAME, AUDIENCE, ["ES256"])
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def verifier(key_server: KeyServer, clock: Clock) -> AsyncIterator[JwtVerifier]:
    """A verifier that has fetched the keys once, and may fetch again."""
    async with running(IssuerKeys(key_server.url, lambda: None, clock)) as made:
        await eventually(lambda: key_server.fetches == 1)
        yield made


async def accepts(verifier: JwtVerifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except CredentialsInvalid:
        return False
    return True


async def test_unknown_key_is_fetched_once_in_half_a_minute_however_many_ask(
    verifier: JwtVerifier, key_server: KeyServer, issuer: Issuer, clock: Clock
) -> None:
    assert await accepts(verifier, issuer.token())
    clock.now += QUIET_SECONDS
    strangers = [Issuer().token() for _ in range(100)]
    assert not any(await asyncio.gather(*(accepts(verifier, token) for token in strangers)))
    assert key_server.fetches == 2
    assert not any(await asyncio.gather(*(accepts(verifier, token) for token in strangers)))
    assert key_server.fetches == 2
    clock.now += QUIET_SECONDS
    assert not await accepts(verifier, strangers[0])
    assert key_server.fetches == 3


async def test_key_that_is_new_is_known_to_all_who_ask_together(
    verifier: JwtVerifier, key_server: KeyServer, issuer: Issuer, clock: Clock
) -> None:
    assert await accepts(verifier, issuer.token())
    issuer.rotate()
    token = issuer.token()
    assert not await accepts(verifier, token)  # It is quiet after the first fetch.
    clock.now += QUIET_SECONDS
    assert all(await asyncio.gather(*(accepts(verifier, token) for _ in range(100))))
    assert key_server.fetches == 2


async def test_failing_issuer_locks_out_nobody_and_lets_nobody_in(
    verifier: JwtVerifier,
    key_server: KeyServer,
    issuer: Issuer,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = issuer.token()
    assert await accepts(verifier, known)
    key_server.is_broken = True
    issuer.rotate()
    for fetches in (2, 3):
        clock.now += QUIET_SECONDS
        assert not await accepts(verifier, issuer.token())
        assert await accepts(verifier, known)
        assert key_server.fetches == fetches
    (line,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert line.startswith(f"no keys from {key_server.url}, which stay as they are: ")
    key_server.is_broken = False
    clock.now += QUIET_SECONDS
    assert await accepts(verifier, issuer.token())


async def test_caller_that_gives_up_takes_nobody_with_it(
    verifier: JwtVerifier, key_server: KeyServer, issuer: Issuer, clock: Clock
) -> None:
    assert await accepts(verifier, issuer.token())
    issuer.rotate()
    clock.now += QUIET_SECONDS
    first = asyncio.ensure_future(accepts(verifier, issuer.token()))
    second = asyncio.ensure_future(accepts(verifier, issuer.token()))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_keys_of_a_file_follow_it_and_a_broken_one_changes_nothing(
    tmp_path: Path, issuer: Issuer
) -> None:
    path, changes = tmp_path / "keys.json", []
    issuer.write(path)
    async with running(IssuerKeys(str(path), lambda: changes.append(1))) as verifier:
        old = issuer.token()
        assert await accepts(verifier, old)
        path.write_text("{}")
        issuer.rotate(keep=False)
        assert not await accepts(verifier, issuer.token())
        assert await accepts(verifier, old)
        issuer.write(path)
        await eventually(lambda: accepts(verifier, issuer.token()))
        assert not await accepts(verifier, old)
        assert len(changes) == 2


@pytest.mark.parametrize(
    "source",
    [
        "http://issuer.test/keys",
        "ftp://issuer.test/keys",
        "https://",
        "https://user:password@issuer.test/keys",
        "file:///missing",
        "missing",
    ],
)
def test_source_of_no_use_stops_the_start(source: str) -> None:
    with pytest.raises(FileUnusable, match="JOBSVC_JWT_JWKS"):
        IssuerKeys(source, lambda: None)


@pytest.mark.parametrize("source", ["https://issuer.test/keys", "http://127.0.0.1:1/keys"])
async def test_url_that_nobody_on_the_way_can_change_is_taken(source: str) -> None:
    IssuerKeys(source, lambda: None)


async def test_redirect_is_not_followed(issuer: Issuer, clock: Clock) -> None:
    async with KeyServer(issuer).serving() as target:

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
            writer.write(head % target.url.encode())
            writer.close()

        server = await asyncio.start_server(redirect, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server, running(IssuerKeys(url, lambda: None, clock)) as verifier:
            assert not await accepts(verifier, issuer.token())
        assert target.fetches == 0


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1]}', b"\xff"])
def test_no_key_set_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="no "):
        read_keys(data)


def test_keys_that_are_not_for_signatures_of_others_are_left_out() -> None:
    good = ECKey.generate_key("P-256", {"kid": "good"}, private=False)
    other = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"}, private=False)
    shared = OctKey.generate_key(256, {"kid": "shared"})
    document = KeySet([good, other, shared]).as_dict()
    assert list(read_keys(json.dumps(document).encode())) == ["good"]
