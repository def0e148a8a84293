"""Removes the markup of a README, roughly: Markdown, reStructuredText and HTML."""

import re

# In this order: inner markup is removed before the markup around it.
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


def readme_text(readme: str) -> str:
    """Returns the text for a reader: link texts without addresses; no badges, tags or rules."""
    for pattern, text in _REPLACEMENTS:
        readme = pattern.sub(text, readme)
    return readme.strip()
