"""Rankings as pairs of a better and a worse output: which pairs, with what weight, and by how many votes.

Tiers of sizes t₁ … t_m over K outputs hold C(K, 2) − Σ C(t, 2) pairs with a winner. Outputs that nobody
ranked make no pairs among themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

from core.preferences.results import Ranking
from core.preferences.texts import digest

TAKEN = ("all", "adjacent", "best-worst", "best-random")


@dataclass(frozen=True)
class Pair:
    """A better and a worse output of an item; or two that are equally good.

    Attributes:
        item_id: Which item.
        chosen: Id of the better output.
        rejected: Id of the worse one.
        annotator: Whose ranking it is, or "" where several are put together.
        weight: 1 over the number of pairs of that ranking; pairs of one ranking add up to 1.
        votes: How many say so.
        against: How many say the reverse.
        ties: How many say that they are equally good.
        tie: Whether it is kept as a tie.
    """

    item_id: str
    chosen: str
    rejected: str
    annotator: str
    weight: float
    votes: int = 1
    against: int = 0
    ties: int = 0
    tie: bool = False


def strict_count(sizes: Sequence[int]) -> int:
    """Pairs with a winner in tiers of these sizes.

    >>> strict_count([1, 1, 1, 1]), strict_count([1] * 9), strict_count([1, 2, 1])
    (6, 36, 5)
    """
    return comb(sum(sizes), 2) - sum(comb(size, 2) for size in sizes)


def pairs_of(ranking: Ranking, taken: str = "all", *, ties: bool = False) -> tuple[Pair, ...]:
    """The pairs of one ranking.

    Args:
        taken: "all"; "adjacent" tiers only; "best-worst": the first tier against the last; "best-random": one
            of the first tier against one other, chosen by a hash.
        ties: Whether pairs within a tier are kept, as ties.

    >>> [(pair.chosen, pair.rejected) for pair in pairs_of(Ranking("ada", "i", (("b",), ("a", "c"))))]
    [('b', 'a'), ('b', 'c')]
    """
    tiers = [*ranking.tiers, ranking.unranked] if ranking.unranked else list(ranking.tiers)
    found = list(_won(ranking, tiers, taken))
    equal = [
        (a, b)
        for tier in (ranking.tiers if ties else ())
        for at, a in enumerate(tier)
        for b in tier[at + 1 :]
    ]
    total = len(found) + len(equal)
    return tuple(
        Pair(ranking.item_id, a, b, ranking.annotator, 1 / total, tie=at >= len(found), votes=at < len(found),
             ties=at >= len(found))
        for at, (a, b) in enumerate(found + equal)
    )  # fmt: skip


def _won(ranking: Ranking, tiers: Sequence[Sequence[str]], taken: str) -> Iterator[tuple[str, str]]:
    if len(tiers) < 2:
        return
    match taken:
        case "all":
            chosen = [(at, below) for at in range(len(tiers)) for below in range(at + 1, len(tiers))]
        case "adjacent":
            chosen = [(at, at + 1) for at in range(len(tiers) - 1)]
        case "best-worst":
            chosen = [(0, len(tiers) - 1)]
        case "best-random":
            others = [id for tier in tiers[1:] for id in tier]
            yield (
                min(tiers[0], key=lambda id: digest("best", ranking.event_id, id)),
                min(others, key=lambda id: digest("other", ranking.event_id, id)),
            )
            return
        case _:
            raise ValueError(f"pairs {taken!r}")
    for at, below in chosen:
        for a in tiers[at]:
            for b in tiers[below]:
                yield a, b


def put_together(pairs: Iterable[Pair], *, at_least: int = 1, ties: bool = False) -> tuple[Pair, ...]:
    """One pair for each two outputs of an item, by majority; an even vote is left out, or kept as a tie.

    Args:
        pairs: One person each, ties included.
        at_least: Votes that the winner needs.
        ties: Whether an even vote is kept as a tie.

    >>> one, other = Pair("i", "a", "b", "ada", 1.0), Pair("i", "b", "a", "bob", 1.0)
    >>> put_together([one, other]), put_together([one, one, other])[0].votes
    ((), 2)
    """
    said: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for pair in pairs:
        a, b = sorted((pair.chosen, pair.rejected))
        said[pair.item_id, a, b][0 if pair.tie else 1 if pair.chosen == a else -1] += 1
    kept = []
    for (item, a, b), votes in said.items():
        net = votes[1] - votes[-1]
        if net == 0:
            if ties:
                kept.append(Pair(item, a, b, "", 1.0, votes[1], votes[-1], votes[0], True))
        else:
            first, second = (a, b) if net > 0 else (b, a)
            won = max(votes[1], votes[-1])
            if won >= at_least:
                kept.append(Pair(item, first, second, "", 1.0, won, min(votes[1], votes[-1]), votes[0]))
    among = Counter(pair.item_id for pair in kept)
    return tuple(
        Pair(p.item_id, p.chosen, p.rejected, "", 1 / among[p.item_id], p.votes, p.against, p.ties, p.tie)
        for p in kept
    )
