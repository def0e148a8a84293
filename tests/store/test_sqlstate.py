"""What a database may answer is expected; only what no database in order answers is our defect."""

import asyncpg
import pytest

from jobsvc.store.sqlstate import Answer, answer, is_session_spent

A = Answer


@pytest.mark.parametrize(
    ("sqlstate", "expected", "spent"),
    [
        ("08006", A.AWAY, True),  # connection failure
        ("08P01", A.AWAY, True),  # protocol violation
        ("26000", A.AWAY, True),  # a prepared statement is gone
        ("28P01", A.AWAY, True),  # wrong password
        ("3D000", A.AWAY, True),  # no such database
        ("53300", A.AWAY, True),  # too many connections
        ("57P01", A.AWAY, True),  # terminated by an administrator
        ("57P03", A.AWAY, True),  # starting up
        ("25006", A.READ_ONLY, True),
        ("3F000", A.REFUSED, False),  # no such schema
        ("42501", A.REFUSED, False),  # no right
        ("42P01", A.REFUSED, False),  # no such table
        ("53100", A.REFUSED, False),  # disk full
        ("55P03", A.REFUSED, False),  # lock not available
        ("57014", A.REFUSED, False),  # statement timeout
        ("XX001", A.REFUSED, False),  # data corrupted
        ("40001", A.CONFLICT, False),
        ("40P01", A.CONFLICT, False),
        ("22021", A.VALUE, False),  # not in the repertoire of the encoding
        ("22P05", A.VALUE, False),  # no equivalent in the encoding
        ("23514", A.VALUE, False),  # check
        ("54000", A.VALUE, False),  # program limit
        ("23505", A.DEFECT, False),  # a taken key is handled where it may happen
        ("42601", A.DEFECT, False),  # syntax error
        ("42804", A.DEFECT, False),  # wrong type
        ("", A.DEFECT, False),
    ],
)
def test_every_answer_has_its_meaning(sqlstate: str, expected: Answer, spent: bool) -> None:
    assert (answer(sqlstate), is_session_spent(sqlstate)) == (expected, spent)


def test_what_the_driver_knows_as_unavailable_is_no_defect() -> None:
    """Classes of errors that say nothing about the statement."""
    kinds = (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.PostgresSystemError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.TransactionRollbackError,
        asyncpg.InternalServerError,
    )
    known = [e for e in vars(asyncpg.exceptions).values() if isinstance(e, type)]
    for error in known:
        if issubclass(error, kinds) and getattr(error, "sqlstate", None):
            assert answer(error.sqlstate) not in (Answer.DEFECT, Answer.VALUE), error
