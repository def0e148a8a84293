"""The words of a README without its markup: Markdown, reStructuredText and HTML, roughly."""

import re

# In this order: what stands inside goes before what it stands in.
_REPLACEMENTS = tuple(
    (re.compile(pattern, re.MULTILINE), text)
    for pattern, text in (
        (r"<!--(?s:.*?)-->", ""),
        (r"`([^`<>]+?)\s*<[^`<>]*>`__?", r"\1"),  # `text <address>`_
        (r"</?[a-zA-Z][^<>]*>", ""),
        (r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])", ""),  # ![badge](address)
        (r"\[([^\[\]]*)\](\([^)]*\)|\[[^\]]*\])", r"\1"),  # [text](address)
        (r"^\s*\[[^\]]+\]:.*$", ""),  # [name]: address
        (r"^\s*\.\. .*$", ""),  # .. image:: address
        (r"^\s*:[a-z-]+:.*$", ""),  # :target: address
        (r"\b[a-z]+://[^\s)>\]]+", ""),
        (r"[*_`|#=~^-]{3,}", ""),  # rules, fences, table borders
        (r"\n\s*\n(\s*\n)+", "\n\n"),
    )
)


def prose(readme: str) -> str:
    """What a reader would read: link texts without addresses; no badges, tags or rules."""
    for pattern, text in _REPLACEMENTS:
        readme = pattern.sub(text, readme)
    return readme.strip()
