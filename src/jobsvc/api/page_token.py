"""Page tokens: where the next page begins, and of which request. Pure.

They are not signed: a forged one names another place to begin at, and gives nothing away, since a
caller sees only jobs that it may see.
"""

import base64
import binascii
import hashlib
import uuid

from google.protobuf.message import Message

from jobsvc.domain.errors import PageTokenInvalid

_VERSION = b"\x01"
_ID_BYTES = 16
#: So that the whole has 30 bytes, which base64 does not pad.
_DIGEST_BYTES = 13
_PLACE_FIELDS = ("page_size", "page_token")


def write_page_token(request: Message, before: str) -> str:
    """Returns the token of the page that begins before the job id `before`."""
    token = _VERSION + uuid.UUID(before).bytes + _digest(request)
    return base64.urlsafe_b64encode(token).decode()


def read_page_token(request: Message, token: str) -> str:
    """Returns the job id that a page begins before.

    Raises:
        PageTokenInvalid: the token is none of ours, or of a request with other fields.
    """
    try:
        found = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != len(_VERSION) + _ID_BYTES + _DIGEST_BYTES or not found.startswith(_VERSION):
        raise PageTokenInvalid("page_token was not made by this server")
    if not found.endswith(_digest(request)):
        raise PageTokenInvalid("page_token is of a request with other fields than this one")
    start = len(_VERSION)
    return str(uuid.UUID(bytes=found[start : start + _ID_BYTES]))


def _digest(request: Message) -> bytes:
    """Of all fields but those that may change from page to page."""
    rest = type(request)()
    rest.CopyFrom(request)
    for field in _PLACE_FIELDS:
        rest.ClearField(field)
    return hashlib.sha256(rest.SerializeToString(deterministic=True)).digest()[:_DIGEST_BYTES]
