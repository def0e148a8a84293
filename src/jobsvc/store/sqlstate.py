"""What a database may answer, by SQLSTATE. Pure: one table for every error of every statement."""

from enum import Enum


class Answer(Enum):
    """What an error of the database means for whoever asked."""

    #: Lost against other transactions, and nothing has changed: the same again may pass.
    CONFLICT = "conflict"
    #: The database is not there, starts, stops, or refuses the login.
    AWAY = "away"
    #: It takes no writes: a standby, or a default of the database or the role.
    READ_ONLY = "read-only"
    #: It is there, and refuses this statement: a right, a table, room or time is missing.
    REFUSED = "refused"
    #: The values of the statement cannot be stored. Other values can.
    VALUE = "value"
    #: No database in order answers this to us: a defect of ours.
    DEFECT = "defect"


#: By SQLSTATE or its class, the first two characters; the whole one is looked up first.
_ANSWERS = {
    "08": Answer.AWAY,  # connection exception
    "22": Answer.VALUE,  # data exception
    "25006": Answer.READ_ONLY,
    "25P03": Answer.AWAY,  # session ended: idle in a transaction for too long
    "25P04": Answer.AWAY,  # session ended: transaction took too long
    "26000": Answer.AWAY,  # prepared statement is gone: another session answers
    "28": Answer.AWAY,  # login refused
    "3D": Answer.AWAY,  # no such database
    "3F": Answer.REFUSED,  # no such schema
    "40": Answer.CONFLICT,  # transaction rollback
    "42P01": Answer.REFUSED,  # no such table
    "42P05": Answer.AWAY,  # prepared statement exists: another session answers
    "42501": Answer.REFUSED,  # no right
    "42703": Answer.REFUSED,  # no such column
    "42704": Answer.REFUSED,  # no such type, role or setting
    "42883": Answer.REFUSED,  # no such function
    "44": Answer.VALUE,  # check of a view
    "0A000": Answer.REFUSED,  # a table has changed under a prepared statement
    "23502": Answer.VALUE,  # not null
    "23514": Answer.VALUE,  # check
    "53": Answer.REFUSED,  # no room: disk, memory
    "53300": Answer.AWAY,  # no room for a connection
    "54": Answer.VALUE,  # program limit exceeded
    "55": Answer.REFUSED,  # object not in the state for it, or locked
    "57": Answer.AWAY,  # operator intervention
    "57014": Answer.REFUSED,  # statement timeout
    "58": Answer.REFUSED,  # system error: I/O
    "F0": Answer.REFUSED,  # configuration file
    "P0001": Answer.VALUE,  # raised by somebody's trigger
    "XX": Answer.REFUSED,  # internal error, corrupted data
}

#: A session that has given one of these answers gives it again, and must not be lent any more.
_SPENT = {Answer.AWAY, Answer.READ_ONLY}


def answer(sqlstate: str) -> Answer:
    """Returns what an SQLSTATE means."""
    return _ANSWERS.get(sqlstate) or _ANSWERS.get(sqlstate[:2], Answer.DEFECT)


def is_session_spent(sqlstate: str) -> bool:
    """Whether a session that gave this answer is of no use any more."""
    return answer(sqlstate) in _SPENT
