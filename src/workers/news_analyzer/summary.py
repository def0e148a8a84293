"""The sentences that tell an article in short."""

import math
from collections import defaultdict

from workers.news_analyzer.article import SummarySentence
from workers.news_analyzer.rank import rank_nodes
from workers.news_analyzer.terms import Term

# Comparing every sentence with every other one; the rest of a longer text is not considered.
_SENTENCES = 200
_SENTENCE_CHARACTERS = 600
# Sentences that share more of their terms than this say the same.
_SAME = 0.6


def summarise(sentences: list[str], terms: list[list[Term]], limit: int) -> list[SummarySentence]:
    """The most telling sentences, at most `limit`, in the order of the text.

    TextRank over the first 200 sentences: two are as similar as they share terms,
    relative to their lengths. The random reader starts at earlier sentences more
    often, as news put what matters first. A longer sentence than 600
    characters is cut.
    """
    rows = [frozenset(term.key for term in row) for row in terms[:_SENTENCES]]
    lead = [1 / math.sqrt(1 + position) for position in range(len(rows))]
    ranks = rank_nodes(_compare(rows), lead)
    # Ranks are rounded so that equal sentences tie and the earlier one wins.
    order = sorted(range(len(rows)), key=lambda position: (-round(ranks[position], 9), position))
    chosen: list[int] = []
    for position in order:
        if len(chosen) == limit:
            break
        if not any(_are_same(rows[position], rows[other]) for other in chosen):
            chosen.append(position)
    best = ranks[chosen[0]] if chosen else 1.0
    return [
        SummarySentence(_cut(sentences[position]), position, round(ranks[position] / best, 3))
        for position in sorted(chosen)
    ]


def _compare(rows: list[frozenset[str]]) -> list[dict[int, float]]:
    """Similarity of sentences after Mihalcea and Tarau 2004: shared terms over log lengths."""
    # The terms are walked in the order of the alphabet: sets have none that lasts.
    places: defaultdict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        for key in sorted(row):
            places[key].append(position)
    shared: list[defaultdict[int, int]] = [defaultdict(int) for _ in rows]
    for positions in places.values():
        for index, one in enumerate(positions):
            for other in positions[index + 1 :]:
                shared[one][other] += 1
    graph: list[dict[int, float]] = [{} for _ in rows]
    for one, others in enumerate(shared):
        for other, count in others.items():
            # One more than the lengths, or two sentences of one term divide by zero.
            weight = count / (math.log(1 + len(rows[one])) + math.log(1 + len(rows[other])))
            graph[one][other] = graph[other][one] = weight
    return graph


def _are_same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) > _SAME * max(1, len(one | other))


def _cut(sentence: str) -> str:
    if len(sentence) <= _SENTENCE_CHARACTERS:
        return sentence
    return sentence[: _SENTENCE_CHARACTERS - 1].rstrip() + "…"
