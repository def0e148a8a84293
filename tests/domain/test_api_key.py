"""What an API key looks like, and when it is good."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from jobsvc.domain.api_key import NAME, ApiKey, digest_of, read_key, write_key

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY, ID, DIGEST = write_key(b"\x01" * 6, b"\xff" * 32)


@dataclass(frozen=True)
class Times:
    expire: timedelta | None = None
    is_revoked: bool = False


def key(times: Times) -> ApiKey:
    return ApiKey(
        ID,
        "web",
        DIGEST,
        ("jobs.viewer",),
        (),
        NOW,
        None if times.expire is None else NOW + times.expire,
        NOW if times.is_revoked else None,
    )


def test_key_is_read_as_it_was_written() -> None:
    found = read_key(KEY)
    assert found is not None
    assert found[0] == ID
    assert digest_of(found[1]) == DIGEST
    assert DIGEST.hex() not in KEY


@pytest.mark.parametrize("text", ["", KEY[:-1], f"{KEY}a", KEY.upper(), f" {KEY}", f"{KEY}\n"])
def test_text_of_another_form_is_none(text: str) -> None:
    assert read_key(text) is None


def test_key_is_good_until_it_is_revoked_or_expires() -> None:
    found = read_key(KEY)
    assert found is not None
    secret = found[1]
    assert key(Times()).proves(secret, NOW)
    assert not key(Times()).proves(secret[:-1] + "A", NOW)
    assert not key(Times(is_revoked=True)).proves(secret, NOW)
    assert key(Times(timedelta(seconds=1))).proves(secret, NOW)
    assert not key(Times(timedelta(0))).proves(secret, NOW)


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "-a", "a" * 65, "a\n", "ü"])
def test_name_that_could_be_mistaken_is_none(name: str) -> None:
    assert NAME.fullmatch(name) is None
