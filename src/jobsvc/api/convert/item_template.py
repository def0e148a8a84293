"""Messages that differ from one in a single text. A copy costs a tenth of filling in a message."""

from collections.abc import Sequence


def copies(item: bytes, texts: Sequence[str]) -> bytes:
    """`item`, one serialized item of a repeated field, once for each of `texts`: the first stands
    in it, in a single place, and the others take its place.

    All texts must have the same length, which is part of the bytes.
    """
    before, behind = item.split(texts[0].encode())
    between = behind + before
    return before + between.join([text.encode() for text in texts]) + behind
