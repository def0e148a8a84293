"""TLS and a token on every call: the files and settings that servers, workers and callers need."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ISSUER, _AUDIENCE = "https://issuer.bench", "jobsvc"
_LIFE_SECONDS = 86_400
_POLICY = """
[[rules]]
identity = "jwt:bench"
roles = ["jobs.admin"]
"""


@dataclass(frozen=True, slots=True)
class Access:
    """Variables that are added to the environment of servers, and to that of workers and
    callers."""

    server: Mapping[str, str]
    caller: Mapping[str, str]


#: Plain text, and nobody is asked who it is.
OPEN = Access({}, {})


def secured(folder: Path) -> Access:
    """Writes certificates, the key set of an issuer and a policy into a folder that is empty, and
    returns the access by them: TLS, and a token that the server verifies."""
    # In an extra, which only this needs.
    from joserfc import jwt
    from joserfc.jwk import ECKey, KeySet

    from jobsvc.auth.dev_certs import make_certificates

    make_certificates(folder / "certs", (), ())
    key = ECKey.generate_key("P-256", {"kid": "bench"}, private=True)
    (folder / "keys.json").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    (folder / "policy.toml").write_text(_POLICY)
    now = int(time.time())
    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "bench", "exp": now + _LIFE_SECONDS}
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, ["ES256"])
    return Access(
        {
            "JOBSVC_TLS_CERT": str(folder / "certs/server.pem"),
            "JOBSVC_TLS_KEY": str(folder / "certs/server.key"),
            "JOBSVC_JWT_ISSUER": _ISSUER,
            "JOBSVC_JWT_AUDIENCE": _AUDIENCE,
            "JOBSVC_JWT_JWKS": str(folder / "keys.json"),
            "JOBSVC_POLICY": str(folder / "policy.toml"),
        },
        {"JOBSVC_CA": str(folder / "certs/ca.pem"), "JOBSVC_TOKEN": token},
    )
