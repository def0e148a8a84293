"""The owner of a job, and the callers who may see it. Pure."""

import re

import msgspec

from jobsvc.domain.errors import JobNotOwned

#: Alphabet and length of a session id, a user id. One of blanks alone is that of nobody: a template
#: or a cookie was empty.
CALLER_ID = re.compile(r"(?=.*[!-~])[ -~]{1,256}")
CALLER_ID_RULE = "must be 1 to 256 printable ASCII characters, and not blanks alone"


class Owner(msgspec.Struct, frozen=True):
    """Owner of a job, and identity of a caller. Of the session only a keyed hash is kept."""

    service: str = ""
    user_id: str = ""
    session_hash: bytes | None = None
    #: Of a caller: what its session was hashed to under former keys. It still owns those jobs.
    former_session_hashes: tuple[bytes, ...] = ()
    #: Whether this is a caller that sees the jobs of everybody.
    sees_all: bool = False
    #: Of a caller: how many jobs of its service may wait; None for any number.
    most_waiting: int | None = None

    @property
    def session_hashes(self) -> tuple[bytes, ...]:
        """The session under every key; empty without a session."""
        return () if self.session_hash is None else (self.session_hash, *self.former_session_hashes)

    def is_same_as(self, owner: "Owner") -> bool:
        """Returns whether a caller with this identity is `owner` itself: of the same service, user
        and session, or of none."""
        return (
            self.service == owner.service
            and self.user_id == owner.user_id
            and (self.session_hash == owner.session_hash or self.has_session_of(owner))
        )

    def owns(self, owner: "Owner") -> bool:
        """Returns whether a caller with this identity may see a job of `owner`.

        The service must be the same. If the job has a session or a user, one of the
        two must be the same as well; otherwise its whole service may see it.
        """
        if self.sees_all:
            return True
        if self.service != owner.service:
            return False
        if owner.session_hash is None and not owner.user_id:
            return True
        return self.has_session_of(owner) or self.has_user_of(owner)

    @property
    def as_owner(self) -> "Owner":
        """The owner of what this caller makes."""
        return msgspec.structs.replace(self, sees_all=False)

    def knows_of(self, owner: "Owner") -> bool:
        """Returns whether a job of `owner` may be named to this caller."""
        return self.sees_all or self.service == owner.service

    def has_session_of(self, owner: "Owner") -> bool:
        """Returns whether a job of `owner` is bound to the session of this caller."""
        return owner.session_hash is not None and owner.session_hash in self.session_hashes

    def has_user_of(self, owner: "Owner") -> bool:
        """Returns whether a job of `owner` is bound to the user of this caller."""
        return owner.user_id != "" and owner.user_id == self.user_id


def check_owner(caller: Owner, owner: Owner, job_id: str) -> None:
    """Checks that `caller` may see the job `job_id` of `owner`.

    Raises:
        JobNotOwned: it belongs to somebody else. The metadata name the missing header if the caller
            sent neither session nor user.
    """
    if caller.owns(owner):
        return
    metadata = {"jobId": job_id}
    if caller.session_hash is None and not caller.user_id:
        metadata["missingMetadata"] = "x-session-id"
    raise JobNotOwned("the job belongs to somebody else", **metadata)
