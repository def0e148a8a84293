"""Chooses the sentences that summarise an article."""

import math
from collections import defaultdict

from workers.news_analyzer.article import SummarySentence
from workers.news_analyzer.rank import rank_nodes
from workers.news_analyzer.terms import Term

# Every sentence is compared with every other; the rest of a longer text is left out.
_SENTENCES = 200
_SENTENCE_CHARACTERS = 600
# Sentences that share more of their terms than this count as the same.
_SAME = 0.6


def summarise(sentences: list[str], terms: list[list[Term]], limit: int) -> list[SummarySentence]:
    """Returns the highest ranked sentences, at most `limit`, in the order of the text.

    TextRank over the first 200 sentences: the similarity of two is the number of
    terms that they share, relative to their lengths. The random reader starts at
    earlier sentences more often, as an article begins with the important ones. A
    sentence of more than 600 characters is cut.
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
    # Sorted: the order of a set differs from run to run.
    positions_of: defaultdict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        for key in sorted(row):
            positions_of[key].append(position)
    shared: list[defaultdict[int, int]] = [defaultdict(int) for _ in rows]
    for positions in positions_of.values():
        for index, one in enumerate(positions):
            for other in positions[index + 1 :]:
                shared[one][other] += 1
    graph: list[dict[int, float]] = [{} for _ in rows]
    for one, others in enumerate(shared):
        for other, count in others.items():
            # Lengths plus one: otherwise two sentences of one term divide by zero.
            weight = count / (math.log(1 + len(rows[one])) + math.log(1 + len(rows[other])))
            graph[one][other] = graph[other][one] = weight
    return graph


def _are_same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) > _SAME * max(1, len(one | other))


def _cut(sentence: str) -> str:
    if len(sentence) <= _SENTENCE_CHARACTERS:
        return sentence
    return sentence[: _SENTENCE_CHARACTERS - 1].rstrip() + "…"
