"""Every kind of credential is planted in real processes, which then see every kind of trouble; all
that they have written is searched. `tests/e2e/test_secrets.py` does so for passwords and sessions.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.domain.identity import ROLES
from jobsvc.tracing.span_files import find_trace_ids
from tests.e2e.support.command import run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.certificates import Files, files_in, spiffe
from tests.support.issuer import AUDIENCE, NAME, Issuer
from tests.support.planted import dump, found_in, plant, plant_key, plant_token, texts_in
from tests.support.probe import eventually

_POLICY = "".join(
    f'[[rules]]\nclaim = "roles"\nvalue = "{role}"\nroles = ["{role}"]\n'
    + ('queues = ["*"]\n' if role == "jobs.worker" else "")
    for role in ROLES
)
_PASSWORD, _SESSION_KEY, _SESSION = (
    plant(f"planted-{name}-1f0c7d") for name in ("password", "session-key", "session")
)


@pytest.fixture
def authority() -> Authority:
    made = Authority()
    plant_key(made.key)
    return made


@pytest.fixture
def server_files(tmp_path: Path, authority: Authority) -> Files:
    files = files_in(tmp_path)
    files.write(authority)
    return files


async def _told(*words: str, **environment: str) -> str:
    """All that a command prints, whether it succeeds or not."""
    done = await asyncio.to_thread(lambda: run(*words, **environment))
    return done.stdout + done.stderr


async def test_no_credential_is_found_again(
    stage: Stage, tmp_path: Path, authority: Authority, server_files: Files
) -> None:
    issuer, spans = Issuer(), stage.folder / "spans"
    issuer.write(tmp_path / "keys.json")
    (tmp_path / "policy.toml").write_text(_POLICY)
    dsn = f"{stage.dsn}&password={_PASSWORD}"
    settings: dict[str, Any] = {
        "dsn": dsn,
        "session_keys": _SESSION_KEY,
        "tls_cert": server_files.certificate,
        "tls_key": server_files.key,
        "tls_client_ca": server_files.client_ca,
        "jwt_issuer": NAME,
        "jwt_audience": AUDIENCE,
        "jwt_jwks": tmp_path / "keys.json",
        "policy": tmp_path / "policy.toml",
        "accept_api_keys": 1,
        "log_level": "DEBUG",
        "trace_dir": spans,
    }
    server = await stage.serve(**settings)

    # A certificate, a token of the issuer, an API key, and whatever is wrong with them.
    certificate, key = authority.sign("web", spiffe("web"), is_server=False)
    (tmp_path / "web.pem").write_bytes(certificate)
    (tmp_path / "web.key").write_bytes(plant_key(key))
    token = issuer.token("web", tuple(ROLES))
    made = await asyncio.to_thread(
        lambda: run("keys", "create", "shop", "--role", "jobs.admin", JOBSVC_DSN=dsn)
    )
    api_key = made.stdout.strip()
    plant(api_key.rpartition("_")[2])
    (tmp_path / "token").write_text(token)
    channel = {
        "JOBSVC_TARGET": f"localhost:{server.port}",
        "JOBSVC_CA": str(server_files.client_ca),
        "JOBSVC_CERT": str(tmp_path / "web.pem"),
        "JOBSVC_KEY": str(tmp_path / "web.key"),
        "JOBSVC_LOG_LEVEL": "DEBUG",
        "JOBSVC_TRACE_DIR": str(spans),
        "JOBSVC_SESSION_ID": _SESSION,
    }
    good = channel | {"JOBSVC_TOKEN": token}
    worker = await stage.work(f"localhost:{server.port}", **good)
    texts = {"create": await _told("create", "flaky", "{}", **good)}
    job_id = texts["create"].split()[-1]
    texts["watch"] = await _told("watch", job_id, **good)
    assert "COMPLETED" in texts["watch"]
    bad = {
        "api key": {"JOBSVC_TOKEN": api_key},
        "token in a file": {"JOBSVC_TOKEN_FILE": str(tmp_path / "token")},
        "certificate alone": {},
        "expired": {"JOBSVC_TOKEN": issuer.token("web", tuple(ROLES), life=-60)},
        "of another issuer": {"JOBSVC_TOKEN": Issuer().token("web", tuple(ROLES))},
        "for another audience": {"JOBSVC_TOKEN": issuer.token("web", aud="billing")},
        "without a role": {"JOBSVC_TOKEN": issuer.token("nobody")},
        "cut off": {"JOBSVC_TOKEN": plant_token(token)[:-10]},
        "not printable": {"JOBSVC_TOKEN": f"{token}\n{token}"},
        "wrong key": {"JOBSVC_TOKEN": token, "JOBSVC_KEY": str(server_files.key)},
        "key for a certificate": {"JOBSVC_TOKEN": token, "JOBSVC_CERT": str(tmp_path / "web.key")},
        "plain text": {"JOBSVC_TOKEN": token, "JOBSVC_CA": "", "JOBSVC_CERT": "", "JOBSVC_KEY": ""},
        "--help": {"JOBSVC_TOKEN": token, "JOBSVC_DSN": dsn, "JOBSVC_SESSION_KEY": _SESSION_KEY},
    }
    for name, changed in bad.items():
        words = ["get", job_id] if name != "--help" else ["serve", "--help"]
        texts[name] = await _told(*words, **(channel | changed))
        assert texts[name], name
    assert "COMPLETED" in texts["token in a file"]

    # Commands on the database, in order and out of order.
    for command in (
        ("doctor",),
        ("audit", "--json"),
        ("keys", "list"),
        ("inspect", job_id),
        ("upkeep", "run"),
        ("migrate", "--check"),
        ("restore-check",),
    ):
        for name, where in {
            "here": dsn,
            "nowhere": f"postgresql://u:{_PASSWORD}@127.0.0.1:1/d",
        }.items():
            texts[f"{command} {name}"] = await _told(
                *command, JOBSVC_DSN=where, JOBSVC_LOG_LEVEL="DEBUG", JOBSVC_START_WAIT_SECONDS="0"
            )

    # The server sees a key that is revoked and files that are wrong, and is killed.
    await asyncio.to_thread(lambda: run("keys", "revoke", api_key.split("_")[1], JOBSVC_DSN=dsn))
    server_files.certificate.write_bytes(certificate)
    (tmp_path / "policy.toml").write_text(f'[[rules]]\nidentity = "{api_key}"\n')
    server.hang_up()
    await server.says(60, "JOBSVC_TLS_CERT")
    await fetch(stage.dsn, "ALTER TABLE jobsvc.job RENAME TO hidden")
    texts["in trouble"] = await _told("get", job_id, **good)
    await fetch(stage.dsn, "ALTER TABLE jobsvc.hidden RENAME TO job")
    server.kill()
    await worker.says(60, "UNAVAILABLE", "again", "lost")
    worker.terminate()
    await worker.exited(60)

    assert " DEBUG jobsvc" in server.stderr
    assert find_trace_ids(spans, job_id), "there are spans to search"
    texts |= texts_in(spans) | {
        "server": server.stdout + server.stderr,
        "worker": worker.stdout + worker.stderr,
        "tables": await dump(stage.dsn),
    }
    assert "key:shop" in texts["tables"] or "shop" in texts["tables"], "what is stored is found"
    assert found_in(texts) == []


async def test_wrong_files_of_secrets_are_told_without_what_they_say(
    tmp_path: Path, authority: Authority, server_files: Files
) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(plant_key(authority.sign("x", spiffe("x"), is_server=True)[1]))
    tls = {"JOBSVC_TLS_CERT": str(server_files.certificate), "JOBSVC_TLS_KEY": str(other)}
    secret = plant("planted-query-5e1d9b")
    jwt = {"JOBSVC_JWT_ISSUER": NAME, "JOBSVC_JWT_AUDIENCE": AUDIENCE}
    texts = {}
    for name, environment in {
        "keys that do not fit": tls,
        "a key as certificate": tls | {"JOBSVC_TLS_CERT": str(other)},
        "a key as policy": {"JOBSVC_POLICY": str(other), "JOBSVC_ACCEPT_API_KEYS": "1"},
        "a key as key set": jwt | {"JOBSVC_JWT_JWKS": str(other)},
        "a user in a URL": jwt | {"JOBSVC_JWT_JWKS": f"https://u:{secret}@127.0.0.1:1/keys"},
    }.items():
        texts[name] = await _told("serve", JOBSVC_DATA_DIR=str(tmp_path / "data"), **environment)
        assert "jobsvc: " in texts[name], name
    assert found_in(texts) == []


async def test_query_of_the_issuers_url_is_not_told(stage: Stage) -> None:
    secret = plant("planted-query-8a2c4f")
    server = await stage.serve(
        jwt_issuer=NAME,
        jwt_audience=AUDIENCE,
        jwt_jwks=f"http://127.0.0.1:1/keys?token={secret}",
        log_level="DEBUG",
    )
    await eventually(lambda: "no keys from http://127.0.0.1:1/keys, " in server.stderr, seconds=60)
    assert found_in({"server": server.stderr}) == []
