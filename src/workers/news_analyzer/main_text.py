"""Extracts the article from a document: its main text in paragraphs, its title and by-line."""

import logging
import re
import unicodedata
from dataclasses import dataclass

import trafilatura

from workers.news_analyzer.reason import Reason, reject

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_SPACES = re.compile(r"\s+")
# Control characters other than tab and line ends, and halves of surrogate pairs:
# neither XML nor UTF-8 can carry them.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)
_LINE_END = re.compile("\r\n?|[\x0c\x85\u2028\u2029]")
# After the Latin ones: full stops, exclamation and question marks of Chinese and
# Japanese, the danda of Hindi, Arabic question mark and Urdu full stop.
_SENTENCE_END = tuple('.!?…:"”\u3002\uff01\uff1f\u0964\u061f\u06d4')
_TITLE_CHARACTERS = 200
# An article's page has some thousands; time grows with the square of some of them.
_ELEMENTS = 50_000
_SHELL = re.compile(r"<(?:!doctype|html|body)\b", re.I)


# They log every page without text as an error; here that is the job's failure.
for _name in ("trafilatura", "htmldate"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class MainText:
    """An article's own text. No paragraph is empty or holds a line end."""

    paragraphs: list[str]
    title: str | None = None
    author: str | None = None
    site_name: str | None = None
    published_date: str | None = None


def extract_html(html: str, url: str | None = None) -> MainText:
    """Returns the main text of a page, without navigation, comments and advertisements.

    There are no paragraphs when the page holds no main text. `published_date` is the
    date that the page itself states, YYYY-MM-DD. Raises Fail (TOO_LARGE) for a page of more
    than 50,000 elements.
    """
    html = clean(html)
    if html.count("<") > _ELEMENTS:
        raise reject(Reason.TOO_LARGE, f"the page has more than {_ELEMENTS} elements")
    if not _SHELL.search(html[:4096]):
        # trafilatura does not accept a fragment of a single element as HTML.
        html = f"<html><body>{html}</body></html>"
    found = trafilatura.bare_extraction(
        html,
        url=url,
        include_comments=False,
        with_metadata=True,
        # The latest date is fixed, since by default it is today and the same page
        # would be read differently tomorrow; the extensive search only guesses.
        date_extraction_params={
            "extensive_search": False,
            "original_date": True,
            "max_date": "2199-12-31",
        },
    )
    if not isinstance(found, trafilatura.settings.Document):
        return MainText([])
    title = _shorten(found.title)
    lines = [_squeeze(line) for line in (found.text or "").split("\n")]
    paragraphs = [line for line in lines if line]
    # The heading belongs to the text of a page, but not to its sentences.
    if len(paragraphs) > 1 and title is not None and paragraphs[0].casefold() == title.casefold():
        del paragraphs[0]
    return MainText(
        paragraphs=paragraphs,
        title=title,
        author=_shorten(found.author),
        site_name=_shorten(found.sitename),
        published_date=found.date,
    )


def extract_plain(text: str) -> MainText:
    """Returns the paragraphs of a plain text, and its title when it begins with one.

    Blank lines separate paragraphs; in a text without any, so do line ends after
    the end of a sentence. A title is a first paragraph of one short line
    that does not end like a sentence.
    """
    text = clean(text).strip()
    blocks = _BLANK_LINE.split(text)
    if len(blocks) == 1:
        blocks = _part_lines(text.split("\n"))
    title = None
    first = blocks[0]
    if len(blocks) > 1 and _is_title(first):
        # "#" marks a heading in Markdown.
        title = _shorten(first.lstrip("#"))
        blocks = blocks[1:]
    paragraphs = [_squeeze(block) for block in blocks]
    return MainText([paragraph for paragraph in paragraphs if paragraph], title=title)


def clean(text: str) -> str:
    """Returns printable text in Unicode's composed form (NFC), with "\\n" for every line end."""
    text = _UNPRINTABLE.sub("", _LINE_END.sub("\n", text))
    return unicodedata.normalize("NFC", text)


def _is_title(block: str) -> bool:
    short = "\n" not in block and len(block) <= _TITLE_CHARACTERS
    return short and not block.rstrip().endswith(_SENTENCE_END)


def _part_lines(lines: list[str]) -> list[str]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        blocks[-1].append(line)
        if line.rstrip().endswith(_SENTENCE_END):
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def _squeeze(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _shorten(text: str | None) -> str | None:
    text = _squeeze(clean(text or ""))
    if len(text) <= _TITLE_CHARACTERS:
        return text or None
    return text[: _TITLE_CHARACTERS - 1].rstrip() + "…"
