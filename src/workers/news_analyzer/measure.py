"""Measures an article: its sizes, its reading time and its readability."""

import re

from workers.news_analyzer.article import Counts, ReadabilityScore
from workers.news_analyzer.words import is_unspaced

# Silent reading of non-fiction in English (Brysbaert 2019, "How many words do we
# read per minute?"); characters of Chinese and of Japanese (Trauzettel-Klosinski
# and Dietz 2012, the IReST study). Other scripts without spaces are measured as Chinese.
_WORDS_PER_MINUTE = 238
_CHARACTERS_PER_MINUTE = 255
_JAPANESE_CHARACTERS_PER_MINUTE = 357

_LONG_WORD_CHARACTERS = 7
_VOWELS = re.compile(r"[aeiouyàáâäæãåèéêëìíîïòóôöœõøùúûüÿ]+")
_SILENT_END = re.compile(r"(?<![aeiouyl])(?:es?|ed)$")
_SOUNDED_END = re.compile(r"(?:[td]ed|[cgszx]es|[cs]hes)$")

_FLESCH_LEVELS = (
    (90, "very easy"),
    (80, "easy"),
    (70, "fairly easy"),
    (60, "plain"),
    (50, "fairly difficult"),
    (30, "difficult"),
)
_LIX_LEVELS = ((55, "very difficult"), (45, "difficult"), (35, "medium"), (25, "easy"))


def count_text(paragraphs: list[str], words: list[str], sentences: list[str]) -> Counts:
    """Returns the sizes of a text, which is given in paragraphs, in words and in sentences."""
    return Counts(
        characters=sum(map(len, paragraphs)),
        words=len(words),
        sentences=len(sentences),
        paragraphs=len(paragraphs),
    )


def estimate_reading_seconds(words: list[str], language: str) -> int:
    """Returns the time that an adult reads, at least one second."""
    characters = sum(map(is_unspaced, words))
    japanese = language == "ja"
    pace = _JAPANESE_CHARACTERS_PER_MINUTE if japanese else _CHARACTERS_PER_MINUTE
    minutes = characters / pace + (len(words) - characters) / _WORDS_PER_MINUTE
    return max(1, round(minutes * 60))


def rate_readability(
    words: list[str], sentence_count: int, language: str
) -> list[ReadabilityScore]:
    """Returns LIX; for English, Flesch reading ease and Flesch-Kincaid grade before it.

    Empty where letters do not make words: without words, and in scripts
    without spaces.
    """
    lettered = [word for word in words if any(map(str.isalpha, word))]
    if not lettered or sentence_count == 0 or sum(map(is_unspaced, words)) * 2 > len(words):
        return []
    scores = _rate_flesch(lettered, sentence_count) if language == "en" else []
    # Björnsson 1968: mean words a sentence, and percentage of words of more than six letters.
    long_words = sum(len(word) >= _LONG_WORD_CHARACTERS for word in lettered)
    lix = len(lettered) / sentence_count + 100 * long_words / len(lettered)
    level = next((name for least, name in _LIX_LEVELS if lix >= least), "very easy")
    return [*scores, ReadabilityScore("lix", round(lix, 1), level)]


def _rate_flesch(words: list[str], sentence_count: int) -> list[ReadabilityScore]:
    words_per_sentence = len(words) / sentence_count
    syllables_per_word = sum(map(count_syllables, words)) / len(words)
    # Flesch 1948, "A New Readability Yardstick".
    ease = 206.835 - 1.015 * words_per_sentence - 84.6 * syllables_per_word
    # Kincaid et al. 1975, for the U.S. Navy: the school grade that can read the text.
    grade = 0.39 * words_per_sentence + 11.8 * syllables_per_word - 15.59
    level = next((name for least, name in _FLESCH_LEVELS if ease >= least), "very difficult")
    return [
        ReadabilityScore("flesch_reading_ease", round(ease, 1), level),
        ReadabilityScore("flesch_kincaid_grade", round(grade, 1), f"grade {max(1, round(grade))}"),
    ]


def count_syllables(word: str) -> int:
    """Counts the syllables of an English word: groups of vowels but a silent ending; at least 1."""
    word = word.lower()
    groups = len(_VOWELS.findall(word))
    if _SILENT_END.search(word) and not _SOUNDED_END.search(word):
        groups -= 1
    return max(1, groups)
