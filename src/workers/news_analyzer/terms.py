"""Finds the content words of a sentence."""

import functools
from dataclasses import dataclass

import stopwordsiso

from workers.news_analyzer.words import find_words, is_unspaced

_TERM_CHARACTERS = 60
_JOINED_CHARACTERS = 2


@dataclass(frozen=True, slots=True)
class Term:
    """A content word: the key it counts as, and its position in the sentence."""

    key: str
    start: int
    end: int


@functools.cache
def load_stop_words(language: str) -> frozenset[str]:
    """Returns the words without meaning of `language` (ISO 639-1); none when it is unknown."""
    return frozenset(word.casefold() for word in stopwordsiso.stopwords(language))


def find_terms(sentence: str, stop_words: frozenset[str]) -> list[Term]:
    """Returns the content words of a sentence in their order.

    Words without letters, of a single letter, and stop words are left out, but
    not stop words with a capital inside a sentence, which are names. In Chinese
    and Japanese, pairs of neighbouring characters are words, as in search engines;
    the other scripts without spaces have no terms.
    """
    terms = []
    spans = find_words(sentence)
    for number, (start, end) in enumerate(spans):
        word = sentence[start:end]
        if is_unspaced(word):
            if number + 1 < len(spans) and spans[number + 1][0] == end:
                pair = sentence[start : spans[number + 1][1]]
                if _is_pair(pair, stop_words):
                    terms.append(Term(pair, start, start + len(pair)))
            continue
        offset, stem = _strip_joined(word)
        key = stem.casefold()
        if not 1 < len(stem) <= _TERM_CHARACTERS or not any(map(str.isalpha, stem)):
            continue
        named = number > 0 and word[0].isupper() and len(word) > 3 and not sentence.isupper()
        if (key in stop_words or word.casefold() in stop_words) and not named:
            continue
        terms.append(Term(key, start + offset, start + offset + len(stem)))
    return terms


def _strip_joined(word: str) -> tuple[int, str]:
    """Returns a word without the part that an apostrophe joins to it, after its offset.

    The short ending is removed, as in "it's" or "government's", else the short
    beginning, as in "l'état"; "o'clock" counts as "clock".
    """
    head, mark, tail = word.replace("\u2019", "'").partition("'")
    if not mark:
        return 0, word
    if len(tail) <= _JOINED_CHARACTERS:
        return 0, head
    return (len(head) + 1, tail) if len(head) <= _JOINED_CHARACTERS else (0, word)


def _is_pair(pair: str, stop_words: frozenset[str]) -> bool:
    """Whether two characters may be a word: both of Han or both of Katakana, none a stop word."""
    kinds = {_kind(character) for character in pair}
    if len(pair) != 2 or len(kinds) != 1 or "" in kinds:
        return False
    return pair not in stop_words and not any(character in stop_words for character in pair)


def _kind(character: str) -> str:
    if "\u30a1" <= character <= "\u30fe":
        return "katakana"
    return "han" if "\u3400" <= character <= "\u9fff" else ""
