"""Each form of JOBSVC_DSN is honoured, named as having no effect, or refused in one line."""

from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.store.dsn import DsnInvalid, read_dsn


def taken(text: str) -> dict[str, str]:
    """What the driver gets of a DSN."""
    url = urlsplit(read_dsn(text).url)
    assert (url.scheme, url.netloc, url.path, url.fragment) == ("postgresql", "", "", "")
    return dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}


FULL = {"user": "u", "password": "p", "host": "db", "port": "5433", "dbname": "jobs"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@db:5433/jobs", FULL),
        ("postgres://u:p@db:5433/jobs", FULL),
        ("postgresql+asyncpg://u:p@db:5433/jobs", FULL),
        ("postgresql+psycopg2://u:p@db:5433/jobs", FULL),
        ("jdbc:postgresql://db:5433/jobs?user=u&password=p", FULL),
        ("host=db port=5433 user=u password=p dbname=jobs", FULL),
        ("  host = db\n port = '5433' user=u password=p dbname=jobs ", FULL),
        ("dbname=jobs", {"dbname": "jobs"}),
        ("postgresql://", {}),
        ("postgresql:///jobs", {"dbname": "jobs"}),
        (
            "postgresql://u@/jobs?host=/run/pg&port=1",
            {"user": "u", "host": "/run/pg", "port": "1", "dbname": "jobs"},
        ),
        ("postgresql://%2Frun%2Fpg/jobs", {"host": "/run/pg", "dbname": "jobs"}),
        ("postgresql://[::1]:5433/jobs", {"host": "[::1]", "port": "5433", "dbname": "jobs"}),
        ("host=::1 dbname=jobs", {"host": "[::1]", "dbname": "jobs"}),
        ("hostaddr=10.0.0.1", {"host": "10.0.0.1"}),
        ("postgresql://a,b:5433/jobs", {"host": "a,b", "port": "5432,5433", "dbname": "jobs"}),
        ("postgresql://u:p%40%2Fs@db", {"user": "u", "password": "p@/s", "host": "db"}),
        ("postgresql://u:p#s+t@db", {"user": "u", "password": "p#s+t", "host": "db"}),
        (r"host=db password='it\'s \\ ours'", {"host": "db", "password": r"it's \ ours"}),
        ("postgresql://db?ssl=require", {"host": "db", "sslmode": "require"}),
        (
            "postgresql://db?sslmode=verify-full&sslrootcert=/ca.pem",
            {"host": "db", "sslmode": "verify-full", "sslrootcert": "/ca.pem"},
        ),
        (
            "postgresql://db?options=-csearch_path%3Dx",
            {"host": "db", "options": "-csearch_path=x"},
        ),
        ("postgresql://db?channel_binding=prefer&gssencmode=disable", {"host": "db"}),
    ],
)
def test_form_is_honoured(text: str, expected: dict[str, str]) -> None:
    assert taken(text) == expected
    assert read_dsn(text).notes == ()


def test_wait_and_name_are_for_us() -> None:
    dsn = read_dsn("postgresql://db?connect_timeout=3&application_name=billing")
    assert (dsn.connect_seconds, dsn.application_name) == (3.0, "billing")
    dsn = read_dsn("host=db fallback_application_name=billing")
    assert (dsn.connect_seconds, dsn.application_name) == (10.0, "billing")
    assert taken("postgresql://db?connect_timeout=3&application_name=billing") == {"host": "db"}


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        ("keepalives=1", "its own time limits"),
        ("keepalives_idle=30", "its own time limits"),
        ("keepalives_interval=5", "its own time limits"),
        ("keepalives_count=3", "its own time limits"),
        ("tcp_user_timeout=1000", "JOBSVC_STATEMENT_SECONDS"),
        ("client_encoding=LATIN1", "UTF-8"),
        ("load_balance_hosts=random", "in their order"),
        ("sslcompression=0", "no such option"),
    ],
)
def test_what_has_no_effect_is_named(parameter: str, why: str) -> None:
    (note,) = read_dsn(f"postgresql://db?{parameter}").notes
    assert note.startswith(f"JOBSVC_DSN: {parameter.partition('=')[0]} has no effect: ")
    assert why in note
    assert taken(f"postgresql://db?{parameter}") == {"host": "db"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql://root:secret@db/jobs", "names mysql; jobsvc works on PostgreSQL"),
        ("sqlite:///jobs.db", "names sqlite"),
        ("secret", "must be postgresql://"),
        ("", "must be postgresql://"),
        ("host=db password='secret", "must be postgresql://"),
        ("host=db secret", "must be postgresql://"),
        ("postgresql://db:secret/jobs", "the port must be a number from 1 to 65535"),
        ("postgresql://db:0/jobs", "the port must be"),
        ("postgresql://db:65536/jobs", "the port must be"),
        ("host=db port=5432,secret", "the port must be"),
        ("host=a,b,c port=1,2", "one port, or one for each host"),
        ("postgresql://u:se/cret@db/jobs", "written %2F"),
        ("postgresql://u:se@cret@db/jobs", "write %40"),
        ("postgresql://u:se%zzcret@db/jobs", "itself is %25"),
        ("postgresql://u:se?cret@db/jobs", "NAME=VALUE"),
        ("postgresql://u:p?se-cret=x@db/jobs", "unknown parameter;"),
        ("postgresql://fe80::1/jobs", "a : in an address needs brackets"),
        ("postgresql://db?channel_binding=require", "channel_binding=require cannot be kept"),
        ("postgresql://db?require_auth=scram-sha-256", "no require_auth"),
        ("postgresql://db?gssencmode=require", "no gssencmode"),
        ("postgresql://db?replication=database", "no replication"),
        ("postgresql://db?sslrootcert=system", "name a file"),
        ("postgresql://db?connect_timeout=soon", "connect_timeout must be"),
        ("postgresql://db?connect_timeout=0", "connect_timeout must be"),
        ("postgresql://db?pgbouncer=true", "unknown parameter pgbouncer; a setting of the server"),
        ("host=db hostaddr=10.0.0.1", "hostaddr beside host"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(DsnInvalid) as caught:
        read_dsn(text)
    line = str(caught.value)
    assert line.startswith("JOBSVC_DSN")
    assert said in line
    assert "\n" not in line
    assert "cret" not in line


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for form in (text, f"postgresql://{text}", f"postgresql://db?{text}", f"host={text}"):
        with suppress(DsnInvalid):
            read_dsn(form)


_WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)


@given(_WORDS)
def test_any_password_arrives_in_either_form(password: str) -> None:
    assert taken(f"postgresql://u:{quote(password, safe='')}@db")["password"] == password
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    assert taken(f"host=db password='{quoted}'")["password"] == password
