"""API keys: their form, and what is kept of them. Pure."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import datetime

import msgspec

from jobsvc.domain.identity import Grant, Principal

#: With this, scanners of published code find keys.
PREFIX = "jobsvc_"
#: Bytes of randomness of an id and of a secret.
ID_BYTES = 6
SECRET_BYTES = 32

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
NAME_RULE = "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit"

_KEY = re.compile(rf"{PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})", re.ASCII)


class ApiKey(msgspec.Struct, frozen=True):
    """What the database has of a key. Two keys of one name are one caller, so that the first may be
    revoked when all have the second."""

    id: str
    name: str
    digest: bytes
    roles: tuple[str, ...]
    queues: tuple[str, ...]
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    last_use_time: datetime | None = None

    def proves(self, secret: str, now: datetime) -> bool:
        """Returns whether the secret is that of this key, and the key may be used."""
        is_right = hmac.compare_digest(digest_of(secret), self.digest)
        return is_right and self.revoke_time is None and not self.has_expired(now)

    def has_expired(self, now: datetime) -> bool:
        """Returns whether its time is over."""
        return self.expire_time is not None and now >= self.expire_time

    @property
    def principal(self) -> Principal:
        """Whom it proves."""
        return Principal(
            f"key:{self.name}",
            Grant(self.roles, self.queues),
            end_time=self.expire_time.timestamp() if self.expire_time else None,
            key_id=self.id,
        )


def write_key(id_bytes: bytes, secret_bytes: bytes) -> tuple[str, str, bytes]:
    """Returns a key as its caller has it, its id, and the digest to keep."""
    key_id = id_bytes.hex()
    secret = urlsafe_b64encode(secret_bytes).rstrip(b"=").decode()
    return f"{PREFIX}{key_id}_{secret}", key_id, digest_of(secret)


def read_key(text: str) -> tuple[str, str] | None:
    """Returns the id and the secret of a key; None for a text that is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def digest_of(secret: str) -> bytes:
    """Returns what is kept of a secret. It is random enough that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()
