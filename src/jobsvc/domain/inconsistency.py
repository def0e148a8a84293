"""What rows that contradict each other mean for jobs, and what to do about them. Pure."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What is wrong; nothing that jobsvc does leaves any of it."""

    JOB_NOWHERE = "job_nowhere"
    JOB_TWICE = "job_twice"
    ORPHAN = "orphan"
    QUEUE_DIFFERS = "queue_differs"
    QUEUE_MISSING = "queue_missing"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    KEY_NOT_HELD = "key_not_held"
    KEY_HELD_BY_ENDED = "key_held_by_ended"
    SCHEMA_MISSING = "schema_missing"
    SCHEMA_IDS_BEHIND = "schema_ids_behind"
    SESSION_KEY_MISSING = "session_key_missing"


#: What it is, what follows, and what cures it; each with the number of such rows.
_TEXTS = {
    Kind.JOB_NOWHERE: "{n} in neither waiting, lease nor result: they never run and never end;"
    " restore the row of each, or delete the job",
    Kind.JOB_TWICE: "{n} in more than one of waiting, lease and result: what becomes of them is a"
    " matter of chance; keep the row that is true",
    Kind.ORPHAN: "{n} without their job: nobody can read or end them; restore the job, or delete"
    " them",
    Kind.QUEUE_DIFFERS: "{n} waiting or leased in another queue than they were created in: set the"
    " queue of the row in waiting or lease",
    Kind.QUEUE_MISSING: "{n} waiting or leased in a queue that does not exist: `jobsvc queues"
    " create` makes it",
    Kind.TOO_MANY_ATTEMPTS: "{n} with more attempts than they may have: raise max_attempts of the"
    " row in job, or delete the job",
    Kind.KEY_NOT_HELD: "{n} whose unique key is not held: another job may take it; insert the row"
    " into held_key",
    Kind.KEY_HELD_BY_ENDED: "{n} that have ended, or have no key, and hold one: nobody else gets"
    " it; delete the row of held_key",
    Kind.SCHEMA_MISSING: "{n} with a schema that does not exist: what it would check is not"
    " accepted; declare the queue with its schemas again",
    Kind.SCHEMA_IDS_BEHIND: "the sequence of schema ids is behind {names}, as after a logical copy"
    " of the tables: `jobsvc migrate` sets it",
    Kind.SESSION_KEY_MISSING: "there is no session key: restore the row of secret, or sessions of"
    " before do not reach their jobs",
}
_NOUNS = {Kind.ORPHAN: "row", Kind.SCHEMA_MISSING: "queue or job"}
_WITHOUT_NAMES = (Kind.SCHEMA_IDS_BEHIND, Kind.SESSION_KEY_MISSING)


class Inconsistency(NamedTuple):
    """Rows that contradict each other in one way."""

    kind: Kind
    number: int
    #: The first ones: ids of jobs, or a table or word and an id or name.
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is wrong, what follows, what to do, and whom it concerns."""
        noun = _NOUNS.get(self.kind, "job")
        many = noun if self.number == 1 else " or ".join(f"{word}s" for word in noun.split(" or "))
        text = _TEXTS[self.kind].format(n=f"{self.number} {many}", names=", ".join(self.names))
        if self.kind in _WITHOUT_NAMES:
            return text
        more = self.number - len(self.names)
        return f"{text} ({', '.join(self.names)}{f' and {more} more' if more else ''})"
