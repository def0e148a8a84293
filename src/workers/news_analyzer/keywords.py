"""Finds the keywords of an article: words and phrases."""

import math
from collections import Counter, defaultdict

from workers.news_analyzer.article import Keyword
from workers.news_analyzer.rank import rank_nodes
from workers.news_analyzer.terms import Term
from workers.news_analyzer.words import is_unspaced

# Terms at this distance in a sentence, or nearer, are neighbours in the graph.
_WINDOW = 4
_PHRASE_TERMS = 3
# Pairs of characters overlap: five make a phrase of six characters.
_PHRASE_PAIRS = 5


def find_keywords(sentences: list[str], terms: list[list[Term]], limit: int) -> list[Keyword]:
    """Returns the best keywords, at most `limit`; `terms` are those of each sentence.

    Terms are ranked by TextRank (window of 4). A phrase of up to three adjacent
    terms, found twice at least, scores the sum of theirs times the root of its
    share in the occurrences of its commonest term, so chance neighbours stay behind.
    A phrase that contains a better keyword, or mostly occurs inside one, is left out.
    """
    counts: Counter[str] = Counter(term.key for row in terms for term in row)
    ranks = _rank_terms(counts, terms)
    phrases: Counter[tuple[str, ...]] = Counter()
    spellings: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence, row in zip(sentences, terms, strict=True):
        for phrase in _find_phrases(sentence, row):
            keys = tuple(term.key for term in phrase)
            phrases[keys] += 1
            spellings[keys][sentence[phrase[0].start : phrase[-1].end]] += 1

    def score(keys: tuple[str, ...]) -> float:
        together = phrases[keys] / max(counts[key] for key in keys)
        return sum(ranks[key] for key in keys) * math.sqrt(together)

    ordered = sorted(_find_candidates(phrases), key=lambda keys: (-score(keys), keys))
    chosen: list[tuple[str, ...]] = []
    for keys in ordered:
        if len(chosen) == limit:
            break
        if not any(_repeats(keys, other, phrases) for other in chosen):
            chosen.append(keys)
    best = score(chosen[0]) if chosen else 1.0
    return [
        Keyword(_spell(spellings[keys]), round(score(keys) / best, 3), phrases[keys])
        for keys in chosen
    ]


def _rank_terms(counts: Counter[str], terms: list[list[Term]]) -> dict[str, float]:
    numbers = {key: number for number, key in enumerate(counts)}
    graph: list[dict[int, float]] = [{} for _ in numbers]
    for row in terms:
        nodes = [numbers[term.key] for term in row]
        for index, one in enumerate(nodes):
            for other in nodes[index + 1 : index + _WINDOW]:
                if one != other:
                    graph[one][other] = graph[one].get(other, 0.0) + 1.0
                    graph[other][one] = graph[other].get(one, 0.0) + 1.0
    return dict(zip(numbers, rank_nodes(graph), strict=True))


def _find_phrases(sentence: str, row: list[Term]) -> list[list[Term]]:
    """Returns every run of a few terms that overlap or have only a space between them."""
    phrases = []
    for index, first in enumerate(row):
        longest = _PHRASE_PAIRS if is_unspaced(first.key) else _PHRASE_TERMS
        phrases.append([first])
        for end in range(index + 1, min(index + longest, len(row))):
            before, after = row[end - 1], row[end]
            if after.start >= before.end and sentence[before.end : after.start] != " ":
                break
            phrases.append(row[index : end + 1])
    return phrases


def _find_candidates(phrases: Counter[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Returns the phrases that may be keywords: repeated, not always part of the same longer one.

    A single word may occur once, but not a pair of characters, which then is
    as likely the end of one word and the beginning of the next.
    """
    parts = {
        part
        for keys, count in phrases.items()
        for part in (keys[1:], keys[:-1])
        if count > 1 and phrases[part] == count
    }
    return [
        keys
        for keys, count in phrases.items()
        if keys not in parts and (count > 1 or (len(keys) == 1 and not is_unspaced(keys[0])))
    ]


def _repeats(
    keys: tuple[str, ...], chosen: tuple[str, ...], phrases: Counter[tuple[str, ...]]
) -> bool:
    """Whether `keys` adds little to `chosen`: it contains it, or mostly occurs within it."""
    short, long = sorted((keys, chosen), key=len)
    inside = any(long[at : at + len(short)] == short for at in range(len(long)))
    if not inside:
        return False
    return short == chosen or phrases[long] * 3 >= phrases[short]


def _spell(spellings: Counter[str]) -> str:
    return min(spellings, key=lambda text: (-spellings[text], text))
