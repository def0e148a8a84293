"""Parts of payloads."""

from hypothesis import strategies as st

#: Text as protobuf lets it through, and storable: no lone surrogates, no NUL.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def nested(levels: int) -> str:
    """An object of this many levels, every second one an array."""
    text = "1"
    for level in range(levels, 0, -1):
        text = f'{{"a":{text}}}' if level % 2 else f"[{text}]"
    return text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)
