"""An issuer of tokens: its key, what it signs, and its key set in a file or behind HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.support.planted import plant_token

NAME = "https://issuer.test"
AUDIENCE = "jobsvc"


class Issuer:
    """Signs tokens with the newest of its keys."""

    def __init__(self) -> None:
        self._keys: list[ECKey] = []
        self.rotate()

    def rotate(self, keep: bool = True) -> None:
        """Makes a key, and forgets the others unless they are kept."""
        key = ECKey.generate_key("P-256", {"kid": f"key-{time.monotonic_ns()}"}, private=True)
        self._keys = [*self._keys, key] if keep else [key]

    @property
    def key_set(self) -> bytes:
        """Its public keys."""
        return json.dumps(KeySet(list(self._keys)).as_dict(private=False)).encode()

    def write(self, path: Path) -> None:
        """Puts its public keys into a file, at once."""
        fresh = path.with_suffix(".new")
        fresh.write_bytes(self.key_set)
        fresh.replace(path)

    def token(
        self, subject: str = "web", roles: tuple[str, ...] = (), life: float = 300, **claims: Any
    ) -> str:
        """A token that is good for `life` seconds, unless the claims say otherwise."""
        now = int(time.time())
        body = {
            "iss": NAME,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + life,
            "roles": list(roles),
        } | claims
        key = self._keys[-1]
        header = {"alg": "ES256", "kid": key.kid}
        wanted = {name: value for name, value in body.items() if value is not None}
        return plant_token(jwt.encode(header, wanted, key, ["ES256"]))


class KeyServer:
    """Serves the key set of an issuer over HTTP, counts who asks, and can fail."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.fetches = 0
        self.is_broken = False
        self.url = ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetches += 1
        status = b"500 Broken" if self.is_broken else b"200 OK"
        body = b"" if self.is_broken else self._issuer.key_set
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["KeyServer"]:
        """Serves on a free port."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        async with server:
            yield self
