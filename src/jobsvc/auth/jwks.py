"""The public keys of an issuer of tokens, from a file or a URL."""

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from jobsvc.auth.watched_files import FileUnusable, WatchedFiles
from jobsvc.domain.loopback import is_loopback

log = logging.getLogger(__name__)

#: Only these: with a symmetric key, who can verify could sign.
PublicKey = RSAKey | ECKey | OKPKey
Keys = Mapping[str, PublicKey]

#: Pause after a fetch, successful or not, in which unknown key ids cause no other.
QUIET_SECONDS = 30.0
#: How long keys may be unknown that the issuer has taken back.
_REFRESH_SECONDS = 300.0
_FETCH_SECONDS = 5.0
_MAX_BYTES = 1 << 20


class IssuerKeys:
    """The keys that the issuer has now. `run` it while tokens are verified.

    A fetch that fails changes nothing: who has a key that is known is let in, nobody else.
    """

    def __init__(
        self,
        source: str,
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source` is a path, or a URL of https (or of http, on this machine). `on_change` is
        called when keys have gone or come.

        Raises:
            FileUnusable: the file has no keys, or the URL is none.
        """
        self._source = source
        #: Without a query, which may be a secret.
        self._shown = source.partition("?")[0]
        self._on_change = on_change
        self._clock = clock
        self._keys: Keys = {}
        self._quiet_until = 0.0
        self._asked = asyncio.Event()
        #: Done when the fetch that is in progress or due is over.
        self._fetch: asyncio.Future[None] | None = None
        self._complaint = ""
        self._file: WatchedFiles | None = None
        if "://" not in source:
            path = Path(source.removeprefix("file:"))
            self._file = WatchedFiles("the keys of the issuer", [path], lambda: self._load(path))
        elif not _is_safe(source):
            raise FileUnusable(
                "JOBSVC_JWT_JWKS must be a file, or a URL of https:// (http:// on this machine)"
                " without a user"
            )

    async def find(self, key_id: str | None) -> PublicKey | None:
        """Returns the key of this id, or the only one there is. An unknown id makes the keys be
        fetched, once in half a minute, however many ask."""
        key = self._get(key_id)
        if key is None and await self._fetched():
            key = self._get(key_id)
        return key

    async def run(self) -> None:
        """Fetches the keys at once, now and then, and when an unknown one is asked for."""
        if self._file is not None:
            await self._file.run()
        self._begin()
        while True:
            await self._run_once()
            try:
                async with asyncio.timeout(_REFRESH_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                self._begin()

    def reload(self) -> None:
        """Reads the file again, or fetches the keys soon."""
        if self._file is not None:
            self._file.reload()
        else:
            self._begin()

    def _get(self, key_id: str | None) -> PublicKey | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetched(self) -> bool:
        """Waits for a fetch, if there is one or one may begin. Returns whether there was one."""
        if self._file is not None:
            return False
        if self._fetch is None and self._clock() < self._quiet_until:
            return False
        self._begin()
        assert self._fetch is not None
        await asyncio.shield(self._fetch)
        return True

    def _begin(self) -> None:
        if self._fetch is None:
            self._fetch = asyncio.get_running_loop().create_future()
        self._asked.set()

    async def _run_once(self) -> None:
        self._asked.clear()
        try:
            keys = read_keys(await asyncio.to_thread(_download, self._source))
        except (OSError, ValueError) as error:
            if f"{error}" != self._complaint:
                log.error("no keys from %s, which stay as they are: %s", self._shown, error)
            self._complaint = f"{error}"
        else:
            self._complaint = ""
            self._take(keys)
        finally:
            self._quiet_until = self._clock() + QUIET_SECONDS
            if self._fetch is not None and not self._fetch.done():
                self._fetch.set_result(None)
            self._fetch = None

    def _load(self, path: Path) -> None:
        try:
            self._take(read_keys(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise FileUnusable(f"JOBSVC_JWT_JWKS {path}: {error}") from None

    def _take(self, keys: Keys) -> None:
        has_changed = {k: v.thumbprint() for k, v in keys.items()} != {
            k: v.thumbprint() for k, v in self._keys.items()
        }
        self._keys = keys
        if has_changed:
            self._on_change()


def read_keys(data: bytes) -> Keys:
    """Returns the public keys of a JSON Web Key Set that are for signatures, by id. Pure.

    Raises:
        ValueError: it is no set, or has no such key.
    """
    try:
        document: Any = json.loads(data)
        found = KeySet.import_key_set(document).keys
    except (JoseError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"no JSON Web Key Set: {error}") from None
    keys = {
        str(key.kid): key
        for key in found
        if isinstance(key, PublicKey) and key.get("use") in (None, "sig")
    }
    if not keys:
        raise ValueError("no key for signatures")
    return keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # Any: as the parent has it.
    def redirect_request(self, *_: Any) -> None:
        """Follows none: it could lead anywhere, and be unencrypted."""


def _download(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=_FETCH_SECONDS) as response:
        data: bytes = response.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("the answer has more than a megabyte")
    return data


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return (
        bool(host)
        and "@" not in parts.netloc
        and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
    )
