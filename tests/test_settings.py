"""Settings: read once, checked against each other."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.settings import DATABASE_KEY, POOLERS, SECRETS, Settings, SettingsInvalid, unknown_names
from jobsvc.store.sessions import Pooling

NUMBERS = [
    f.name
    for f in fields(Settings)
    if isinstance(f.default, int | float) and not isinstance(f.default, bool)
]
DURATIONS = [f.name for f in fields(Settings) if isinstance(f.default, float)]


def test_defaults_are_those_of_the_design() -> None:
    d = Settings()
    assert (d.max_attempts, d.initial_backoff_seconds, d.max_backoff_seconds) == (3, 1, 600)
    assert (d.attempt_timeout_seconds, d.lease_seconds, d.extend_interval_seconds) == (900, 30, 10)
    assert (d.rescue_interval_seconds, d.poll_interval_seconds) == (1, 1)
    assert (d.heartbeat_interval_seconds, d.acknowledge_seconds) == (15, 5)
    day = 86_400
    assert (d.retention_seconds, d.failed_retention_seconds) == (7 * day, 14 * day)
    assert d.request_id_seconds == day
    assert (d.max_payload_bytes, d.max_message_bytes) == (256 * 1024, 4 * 1024 * 1024)


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.read({}) == Settings()
    assert Settings.read({"JOBSVC_DSN": "", "LEASE_SECONDS": "1", "jobsvc_listen": "x"}) == (
        Settings()
    )


def test_every_setting_is_read_from_the_environment() -> None:
    changed = {f.name: getattr(Settings(), f.name) for f in fields(Settings)}
    for name in NUMBERS:
        changed[name] += 1
    changed["extend_interval_seconds"] = 10.25
    changed |= {
        "listen": "[::1]:0",
        "http_listen": "127.0.0.1:9464",
        "dsn": "postgresql://x/y",
        "schema": "jobs",
        "pooler": "transaction",
        "data_dir": Path("/data"),
        "session_keys": ("new", "old"),
        "tls_cert": Path("crt"),
        "tls_key": Path("key"),
        "tls_client_ca": Path("ca"),
        "jwt_issuer": "https://issuer",
        "jwt_audience": "jobsvc",
        "jwt_jwks": "keys.json",
        "policy": Path("policy.toml"),
        "trace_dir": Path("traces"),
    }
    del changed["session_key"]  # Not both: see below.
    environment = {f"JOBSVC_{name.upper()}": f"{value}" for name, value in changed.items()}
    environment["JOBSVC_SESSION_KEYS"] = "new, old"
    settings = Settings.read(environment)
    assert {f.name: getattr(settings, f.name) for f in fields(Settings)} == (
        changed | {"session_key": None}
    )
    assert Settings.read({"JOBSVC_SESSION_KEY": "key"}).session_key == "key"
    assert {type(getattr(settings, name)) for name in DURATIONS} == {float}


def test_command_line_comes_before_the_environment() -> None:
    environment = {"JOBSVC_LISTEN": "a:1", "JOBSVC_POOL_SIZE": "2"}
    settings = Settings.read(environment, listen="b:2", pool_size=None)
    assert (settings.listen, settings.pool_size) == ("b:2", 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("POOL_SIZE", "many"),
        ("POOL_SIZE", "1.5"),
        ("LEASE_SECONDS", "30s"),
        ("RETENTION_SECONDS", "a week"),
    ],
)
def test_malformed_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"JOBSVC_{name}.*{text}"):
        Settings.read({f"JOBSVC_{name}": text})


def test_pooler_that_nobody_knows_is_named() -> None:
    assert Settings().pooler is None
    assert [Settings(pooler=str(kept)).pooler for kept in Pooling] == list(POOLERS)
    with pytest.raises(SettingsInvalid, match=r"JOBSVC_POOLER must be one of session, .* 'statem"):
        Settings(pooler="statement")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_number_below_zero_or_without_end_is_named(name: str, value: float) -> None:
    with pytest.raises(SettingsInvalid, match=f"JOBSVC_{name.upper()} "):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("changes", "first", "second"),
    [
        ({"lease_seconds": 29.0}, "JOBSVC_LEASE_SECONDS is 29", "3 x extend interval"),
        ({"extend_interval_seconds": 11.0}, "JOBSVC_LEASE_SECONDS", "3 x extend interval"),
        ({"attempt_timeout_seconds": 20.0}, "JOBSVC_ATTEMPT_TIMEOUT_SECONDS", "the lease"),
        ({"retention_seconds": 60.0}, "JOBSVC_RETENTION_SECONDS", "the request id window"),
        ({"max_message_bytes": 1000}, "JOBSVC_MAX_MESSAGE_BYTES", "the largest payload"),
        ({"max_bytes_in_progress": 1 << 24}, "BYTES_IN_PROGRESS", "8 x the largest message"),
        ({"pool_size": 0}, "JOBSVC_POOL_SIZE", "one connection"),
        ({"reserved_percent": 91}, "JOBSVC_RESERVED_PERCENT", "at most 90"),
        ({"max_attempts": 0}, "JOBSVC_MAX_ATTEMPTS", "between 1 and 100"),
        ({"max_attempts": 101}, "JOBSVC_MAX_ATTEMPTS", "between 1 and 100"),
    ],
)
def test_contradiction_names_both(changes: dict[str, float], first: str, second: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        Settings(**changes)  # type: ignore[arg-type]  # by the names above
    assert first in f"{refused.value}"
    assert second in f"{refused.value}"


@pytest.mark.parametrize("name", ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"])
def test_file_of_tls_that_needs_others_is_named(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"JOBSVC_{name} "):
        Settings.read({f"JOBSVC_{name}": "file"})


def test_policy_about_callers_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="JOBSVC_POLICY needs callers that are known"):
        Settings(policy=Path("policy.toml"))
    assert Settings(policy=Path("policy.toml"), accept_api_keys=True).authenticates


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS"])
def test_settings_of_tokens_need_each_other(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"JOBSVC_{name} needs JOBSVC_JWT_"):
        Settings.read({f"JOBSVC_{name}": "x"})


@pytest.mark.parametrize(
    "algorithms", ["none", "HS256", "RS256,HS256", "RS256, ES256", "rs256", ","]
)
def test_algorithm_by_which_others_than_the_issuer_could_sign_is_refused(algorithms: str) -> None:
    with pytest.raises(SettingsInvalid, match="JOBSVC_JWT_ALGORITHMS"):
        Settings(jwt_algorithms=algorithms)


@pytest.mark.parametrize(
    ("text", "is_on"), [("1", True), ("true", True), ("0", False), ("No", False), ("maybe", None)]
)
def test_switch_is_on_or_off(text: str, is_on: bool | None) -> None:
    environment = {"JOBSVC_ACCEPT_API_KEYS": text}
    if is_on is None:
        with pytest.raises(SettingsInvalid, match="JOBSVC_ACCEPT_API_KEYS: 'maybe'"):
            Settings.read(environment)
    else:
        assert Settings.read(environment).authenticates is is_on


def test_settings_at_the_very_bound_agree() -> None:
    Settings(lease_seconds=30, extend_interval_seconds=10, attempt_timeout_seconds=30)
    Settings(retention_seconds=86_400, max_message_bytes=256 * 1024)


@given(st.dictionaries(st.sampled_from(NUMBERS), st.floats() | st.integers(), max_size=4))
def test_settings_that_start_hold_their_promises(changes: dict[str, float]) -> None:
    try:
        settings = Settings(**changes)  # type: ignore[arg-type]  # numbers for numbers
    except SettingsInvalid:
        return
    assert settings.lease_seconds >= 3 * settings.extend_interval_seconds
    assert settings.attempt_timeout_seconds >= settings.lease_seconds
    assert settings.retention_seconds >= settings.request_id_seconds


@pytest.mark.parametrize(
    "listen",
    [
        "",
        "host",
        ":1",
        "host:",
        "host:x",
        "::1:80",
        "a b:1",
        "h:70000",
        "h:65536",
        "unix:",
        "unix://h/x",
    ],
)
def test_address_must_have_host_and_port(listen: str) -> None:
    with pytest.raises(SettingsInvalid, match="JOBSVC_LISTEN"):
        Settings(listen=listen)


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:50051",
        "[::]:65535",
        "host.example:0",
        "unix:a b",
        "unix:///run/jobsvc",
        "unix-abstract:x",
    ],
)
def test_address_of_either_kind_is_taken(listen: str) -> None:
    assert Settings(listen=listen).listen == listen


@pytest.mark.parametrize("schema", ["jobsvc", "public", "_1", "order", "a" * 63])
def test_schema_that_postgresql_takes_without_quotes_is_taken(schema: str) -> None:
    assert Settings.read({"JOBSVC_SCHEMA": schema}).schema == schema


@pytest.mark.parametrize(
    "schema",
    [
        "Jobs",
        "1st",
        "a-b",
        "a b",
        'a"',
        "a;b",
        "é",
        "pg_jobs",
        "information_schema",
        "a" * 64,
        "a\n",
    ],
)
def test_schema_of_another_name_is_refused_in_one_sentence(schema: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^JOBSVC_SCHEMA must be a name that PostgreSQL"):
        Settings.read({"JOBSVC_SCHEMA": schema})


def test_names_that_are_no_settings_are_told_in_one_line() -> None:
    environment = {"JOBSVC_LEASE_SECOND": "9", "JOBSVC_QUUX": "", "JOBSVC_DSN": "x", "HOME": "/"}
    assert unknown_names(environment) == (
        "no such setting: JOBSVC_LEASE_SECOND (rather JOBSVC_LEASE_SECONDS?), JOBSVC_QUUX"
    )


@pytest.mark.parametrize(
    "name",
    [
        "JOBSVC_SERVICE_HOST",
        "JOBSVC_SERVICE_PORT_GRPC",
        "JOBSVC_HEADLESS_SERVICE_HOST",
        "JOBSVC_PORT",
        "JOBSVC_PORT_50051_TCP_ADDR",
    ],
)
def test_what_kubernetes_sets_for_a_service_is_no_mistake(name: str) -> None:
    assert unknown_names({name: "tcp://10.0.0.1:50051"}) == ""


def test_names_in_the_documentation_are_known() -> None:
    page = Path(__file__).parent.parent / "docs" / "configuration.md"
    names = re.findall(r"`(JOBSVC_[A-Z_]+)`", page.read_text())
    assert len(names) > 30
    assert unknown_names(dict.fromkeys(names, "x")) == ""


@pytest.mark.parametrize("name", SECRETS)
def test_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    file, missing = tmp_path / "secret", tmp_path / "missing"
    variable = f"JOBSVC_{name.upper()}"
    file.write_text(" text\n")
    environment = {f"{variable}_FILE": str(file)}
    assert unknown_names(environment) == ""
    assert getattr(Settings.read(environment), name) in ("text", ("text",))
    with pytest.raises(SettingsInvalid, match=f"^{variable}_FILE .*missing: No such file"):
        Settings.read({f"{variable}_FILE": str(missing)})
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsInvalid, match=f"^{variable}_FILE .*secret: it is no text$"):
        Settings.read(environment)
    # Or an empty file, as of a mount that is not there, would start the embedded PostgreSQL.
    file.write_text("\n")
    with pytest.raises(SettingsInvalid, match=f"^{variable}_FILE .*secret: it is empty$"):
        Settings.read(environment)


@pytest.mark.parametrize("name", SECRETS)
def test_secret_and_its_file_are_refused_without_the_secret(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hidden-in-file")
    variable = f"JOBSVC_{name.upper()}"
    with pytest.raises(SettingsInvalid) as refused:
        Settings.read({variable: "hidden", f"{variable}_FILE": str(file)})
    assert f"{refused.value}" == f"{variable} and {variable}_FILE are both set; only one may be"


def test_keys_of_sessions_are_a_list_in_order(tmp_path: Path) -> None:
    assert Settings.read({"JOBSVC_SESSION_KEYS": f"b, a,{DATABASE_KEY}"}).session_keys == (
        "b",
        "a",
        DATABASE_KEY,
    )
    file = tmp_path / "keys"
    file.write_text("b,with a comma\n  a\n")
    read = Settings.read({"JOBSVC_SESSION_KEYS_FILE": str(file)})
    assert read.session_keys == ("b,with a comma", "a")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"SESSION_KEYS": "hidden,,b"}, "JOBSVC_SESSION_KEYS: a key is empty"),
        ({"SESSION_KEYS": "hidden,b,c,d"}, "JOBSVC_SESSION_KEYS may be 3 keys at most"),
        ({"SESSION_KEYS": "hidden,b,hidden"}, "JOBSVC_SESSION_KEYS: a key is there twice"),
        (
            {"SESSION_KEYS": "hidden", "SESSION_KEY": "hidden"},
            "JOBSVC_SESSION_KEY and JOBSVC_SESSION_KEYS are both set; only one may be",
        ),
    ],
)
def test_keys_that_cannot_be_meant_are_refused_and_not_shown(
    environment: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        Settings.read({f"JOBSVC_{name}": text for name, text in environment.items()})
    assert f"{refused.value}" == reason


def test_secrets_are_in_no_repr() -> None:
    dsn = "postgresql://u:hidden@h/d"
    assert "hidden" not in repr(Settings(dsn=dsn, session_key="hidden"))
    assert "hidden" not in repr(Settings(dsn=dsn, session_keys=("hidden", "hidden too")))


@pytest.mark.parametrize("address", ["9464", "unix:/run/x", "host:", "host:65536"])
def test_http_listener_must_have_host_and_port(address: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"JOBSVC_HTTP_LISTEN.*{address}"):
        Settings(http_listen=address)
