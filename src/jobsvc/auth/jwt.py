"""JSON Web Tokens of an issuer: verified with its public keys."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jws import JWSRegistry

from jobsvc.auth.authenticator import SKEW_SECONDS
from jobsvc.auth.jwks import IssuerKeys
from jobsvc.domain.errors import CredentialsInvalid
from jobsvc.domain.identity import SERVICE_NAME, Principal
from jobsvc.settings import Settings

#: A token of more characters is none of ours: all metadata of a call have 16 KiB.
_MAX_CHARACTERS = 12_000
#: Lists of more values are not looked at.
_MAX_VALUES = 100


class JwtVerifier:
    """Verifies tokens. Knows nothing of those that it has seen."""

    def __init__(
        self,
        keys: IssuerKeys,
        issuer: str,
        audience: str,
        algorithms: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self._clock = clock
        self._algorithms = algorithms
        # Issuers may say more in the header than the library knows.
        self._registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            lambda: int(clock()),
            SKEW_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    @classmethod
    def named(cls, settings: Settings, on_change: Callable[[], None]) -> "JwtVerifier | None":
        """Returns the verifier that the settings ask for, if they do. `on_change` is called when
        keys have gone or come. Raises FileUnusable."""
        issuer, audience, jwks = settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks
        if issuer is None or audience is None or jwks is None:
            return None
        algorithms = settings.jwt_algorithms.split(",")
        return cls(IssuerKeys(jwks, on_change), issuer, audience, algorithms)

    async def verify(self, token: str) -> Principal:
        """Returns whom a token proves.

        Raises:
            CredentialsInvalid: nobody. The text says more only of tokens that the issuer has
                signed.
        """
        if len(token) > _MAX_CHARACTERS:
            raise CredentialsInvalid("the token is malformed")
        try:
            header = jws.extract_compact(token.encode(), registry=self._registry).headers()
            key_id = header.get("kid")
            if header.get("alg") not in self._algorithms:
                raise CredentialsInvalid("the algorithm of the token is not accepted")
        except (JoseError, ValueError, TypeError, AttributeError):
            raise CredentialsInvalid("the token is malformed") from None
        key = await self.keys.find(key_id if isinstance(key_id, str) else None)
        if key is None:
            raise CredentialsInvalid("the token is not signed with a key of the issuer")
        try:
            claims = jwt.decode(token, key, self._algorithms, self._registry).claims
        except (JoseError, ValueError, TypeError):
            raise CredentialsInvalid("the token is not signed with a key of the issuer") from None
        try:
            self._claims.validate(claims)
        except ExpiredTokenError:
            raise CredentialsInvalid("the token has expired") from None
        except MissingClaimError as error:
            raise CredentialsInvalid(f"the token lacks the claim {error.description}") from None
        except InvalidClaimError as error:
            claim = "" if error.claim is None else f": its claim {error.claim}"
            raise CredentialsInvalid(
                f"the token is not for this server, or not yet{claim}"
            ) from None
        name = f"jwt:{claims['sub']}"
        if not SERVICE_NAME.fullmatch(name):
            raise CredentialsInvalid(
                "the subject of the token is not printable ASCII without blanks"
            )
        return Principal(name, claims=_texts(claims), end_time=float(claims["exp"]))


def _texts(claims: dict[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The claims that are texts or lists of texts; a text is split at blanks, as `scope` is."""
    found = []
    for name, value in claims.items():
        values = value.split() if isinstance(value, str) else value
        if isinstance(values, list):
            texts = tuple(v for v in values[:_MAX_VALUES] if isinstance(v, str))
            found.append((name, texts))
    return tuple(found)
