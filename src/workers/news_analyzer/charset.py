"""Converts bytes to text: finds the charset of a document."""

import codecs
import re

import charset_normalizer

# A document's label comes from outside, so only real charsets are accepted: codecs
# such as "unicode_escape" or "punycode" interpret the text.
_LABEL = re.compile(r"[a-z0-9][a-z0-9_:.-]{0,39}")
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_7"}
    # Declared for many texts that are not ASCII; for those that are, no charset is needed.
    | {"ascii"}
)
# As browsers do: these labels are used for the larger sets that contain them
# (WHATWG Encoding Standard, section 4.2).
_WIDER = {"iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,400}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w:.-]+)", re.I
)
_META_BYTES = 4096
_SAMPLE_BYTES = 16 * 1024


def decode(body: bytes, declared: str | None, *, is_html: bool) -> tuple[str, str]:
    """Returns the text of `body` and the name of the charset it was read by. Never fails.

    The first that fits: byte order mark, the `declared` charset, the one an HTML
    document names itself, UTF-8, a guess by charset_normalizer. When none reads
    every byte, the unreadable ones become U+FFFD.
    """
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace"), charset
    candidates = [_find_charset(declared)]
    if is_html and (named := _META.search(body[:_META_BYTES])):
        candidates.append(_find_charset(named[1].decode("ascii", "replace")))
    known = [charset for charset in candidates if charset is not None]
    for charset in [*known, "utf-8"]:
        try:
            return body.decode(charset), charset
        except UnicodeDecodeError:
            continue
    if known:
        return body.decode(known[0], "replace"), known[0]
    guess = charset_normalizer.from_bytes(body[:_SAMPLE_BYTES]).best()
    charset = guess.encoding.replace("_", "-") if guess is not None else "cp1252"
    return body.decode(charset, "replace"), charset


def _find_charset(label: str | None) -> str | None:
    """Returns the Python name of a charset by its label; None when there is no such charset."""
    label = (label or "").strip().lower()
    if not _LABEL.fullmatch(label):
        return None
    try:
        name = codecs.lookup(label).name
        # Codecs that do not decode to text, such as "hex", fail here.
        b"a".decode(name, "replace")
    except (LookupError, UnicodeError):
        return None
    if name.replace("-", "_") in _NOT_CHARSETS:
        return None
    return _WIDER.get(name, name)
