"""Finds the words and sentences of a text, in any script."""

import regex  # type: ignore[import-untyped]  # no stubs in the wheel
import sentencex  # type: ignore[import-untyped]  # no stubs in the wheel

# Scripts that put no spaces between words.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_WORD = regex.compile(
    rf"""
    {_UNSPACED}\p{{M}}*                       # a character is a word there
    | (?:(?!{_UNSPACED})[\p{{L}}\p{{N}}]\p{{M}}*)+  # elsewhere a run of letters and digits,
      (?:[-'\u2019.·\u200c\u200d]                  # joined as in twenty-one, don't, U.S, 3.5
         (?:(?!{_UNSPACED})[\p{{L}}\p{{N}}]\p{{M}}*)+)*
    """,
    regex.VERBOSE,
)
_UNSPACED_WORD = regex.compile(_UNSPACED)


def find_words(text: str) -> list[tuple[int, int]]:
    """Returns start and end of every word; in scripts without spaces each character is a word."""
    return [match.span() for match in _WORD.finditer(text)]


def is_unspaced(word: str) -> bool:
    """Whether the word is of a script that puts no spaces between words."""
    return _UNSPACED_WORD.match(word) is not None


def split_sentences(paragraph: str, language: str) -> list[str]:
    """Returns the sentences of a paragraph by the rules of `language` (its ISO 639 code).

    A sentence holds a word. Text without any end of a sentence is one sentence.
    """
    sentences = (sentence.strip() for sentence in sentencex.segment(language, paragraph))
    return [sentence for sentence in sentences if _WORD.search(sentence)]
