"""Ranks the nodes of a graph: PageRank, as TextRank applies it to words and sentences."""

from collections.abc import Mapping, Sequence

_DAMPING = 0.85
_ROUNDS = 40
_PRECISION = 1e-4

#: For each node its neighbours and the weights of the edges to them, the same both ways.
Graph = Sequence[Mapping[int, float]]


def rank_nodes(graph: Graph, preference: Sequence[float] | None = None) -> list[float]:
    """Returns the rank of each node; the ranks add up to 1.

    Weighted PageRank on an undirected graph (Mihalcea and Tarau 2004, "TextRank:
    Bringing Order into Texts"). `preference`, positive numbers, weighs the nodes
    at which a random reader starts again; by default all weigh the same.
    """
    size = len(graph)
    if size == 0:
        return []
    preference = preference or [1.0] * size
    whole = sum(preference)
    start = [weight / whole for weight in preference]
    strength = [sum(edges.values()) for edges in graph]
    ranks = start
    for _ in range(_ROUNDS):
        shares = [
            rank / total if total else 0.0 for rank, total in zip(ranks, strength, strict=True)
        ]
        # A node without neighbours sends the reader to a start.
        lost = sum(rank for rank, total in zip(ranks, strength, strict=True) if not total)
        jump = 1 - _DAMPING + _DAMPING * lost
        moved = [
            jump * start[node]
            + _DAMPING * sum([weight * shares[other] for other, weight in edges.items()])
            for node, edges in enumerate(graph)
        ]
        change = sum(abs(new - old) for new, old in zip(moved, ranks, strict=True))
        ranks = moved
        if change < _PRECISION:
            break
    return ranks
