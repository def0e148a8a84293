"""What no contract has yet, and a later one may have."""

from google.protobuf.message import Message

#: A field that no message has, with two bytes in it.
UNKNOWN_FIELD = b"\xfa\x7f\x02\x08\x01"
#: A state of a job.
UNKNOWN_STATE = 99
_OURS = "jobsvc.v1"


def add_unknown_fields(message: Message) -> None:
    """Adds a field that nobody knows to a message of the contract, and to those in it."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry or kind.file.package != _OURS:
            continue
        for item in value if field.is_repeated else (value,):
            add_unknown_fields(item)
    message.MergeFromString(UNKNOWN_FIELD)
