"""How an item stands on screen: the order of its cards, their ranks, what is chosen, what is said besides.

No Qt: a standing never changes, each key makes the next one, and the way back is a list of them. Ranks are
the digits that were typed; equal digits are a tie, gaps mean nothing. After a move, ranks follow places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.preferences.answers import Answer
from core.preferences.pairwise import VERDICTS, Judged, next_pair, tiers_of
from core.preferences.task import Tiers


@dataclass(frozen=True)
class Standing:
    """One item on screen.

    Attributes:
        shown: Ids of its outputs in the order in which the item came.
        order: The same as they stand now.
        chosen: The one that digits go to.
        ranks: Id to the digit given.
        as_shown: The person said that the order shown is right.
        all_bad: None of them is acceptable.
        flags: Id, or "" for the prompt, to what it is flagged as.
        ratings: Id to 1..7.
        comment: In the person's own words.
        judged: What was said of pairs.
    """

    shown: tuple[str, ...]
    order: tuple[str, ...]
    chosen: str
    ranks: Mapping[str, int] = field(default_factory=dict)
    as_shown: bool = False
    all_bad: bool = False
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ratings: Mapping[str, int] = field(default_factory=dict)
    comment: str = ""
    judged: tuple[Judged, ...] = ()

    # What can be done

    def give(self, digit: int) -> Standing:
        """Give the chosen card a rank, and go on to the next one without.

        >>> begin(["a", "b", "c"]).give(2).give(2).give(1).tiers
        (('c',), ('a', 'b'))
        """
        if not 1 <= digit <= len(self.order):
            return self
        ranks = {**self.ranks, self.chosen: digit}
        at = self.order.index(self.chosen)
        later = (*self.order[at + 1 :], *self.order[:at])
        after = self.order[
            min(at + 1, len(self.order) - 1)
        ]  # where all have ranks, one goes through them again
        following = next((id for id in later if id not in ranks), after)
        return replace(self, ranks=ranks, chosen=following, as_shown=False)

    def clear(self) -> Standing:
        """Take the chosen card's rank away."""
        ranks = {id: rank for id, rank in self.ranks.items() if id != self.chosen}
        return replace(self, ranks=ranks, as_shown=False)

    def step(self, by: int) -> Standing:
        """Choose a card some places further on; the ends are ends."""
        at = min(max(0, self.order.index(self.chosen) + by), len(self.order) - 1)
        return replace(self, chosen=self.order[at])

    def choose(self, id: str) -> Standing:
        """Choose a card."""
        return replace(self, chosen=id) if id in self.order else self

    def move(self, by: int) -> Standing:
        """Move the chosen card some places on; from then on all cards are ranked by where they stand.

        >>> begin(["a", "b", "c"]).choose("c").move(-1).tiers
        (('a',), ('c',), ('b',))
        """
        order = self._by_rank()
        at = order.index(self.chosen)
        to = min(max(0, at + by), len(order) - 1)
        return self._placed(order, self.chosen, to)

    def drop(self, id: str, to: int) -> Standing:
        """Put a card at a place, counted from 0; from then on all cards are ranked by where they stand."""
        if id not in self.order:
            return self
        return self._placed(list(self.order), id, min(max(0, to), len(self.order) - 1))

    def keep_order(self) -> Standing:
        """Say that the order shown is the right one; said again, it is taken back."""
        if self.as_shown:
            return replace(self, as_shown=False, ranks={})
        ranks = {id: place for place, id in enumerate(self.shown, 1)}
        return replace(self, order=self.shown, ranks=ranks, as_shown=True)

    def confirm(self) -> Standing:
        """Say that the ranks are right although they are the order shown."""
        return replace(self, as_shown=True)

    def toggle_all_bad(self) -> Standing:
        """Say that none is acceptable, or take it back."""
        return replace(self, all_bad=not self.all_bad)

    def toggle_flag(self, flag: str, id: str | None = None) -> Standing:
        """Flag the chosen card, or the prompt where `id` is ""; or take the flag away."""
        about = self.chosen if id is None else id
        had = self.flags.get(about, ())
        now = tuple(one for one in had if one != flag) if flag in had else (*had, flag)
        return replace(self, flags={**self.flags, about: now})

    def rate(self, rating: int) -> Standing:
        """Rate the chosen card from 1 to 7; 0 takes the rating away."""
        ratings = {id: value for id, value in self.ratings.items() if id != self.chosen}
        return replace(self, ratings=ratings | ({self.chosen: rating} if 1 <= rating <= 7 else {}))

    def say(self, comment: str) -> Standing:
        """Write a comment."""
        return replace(self, comment=comment)

    def judge(self, verdict: str) -> Standing:
        """Say which of the two in view is better; ranks follow once all is known.

        >>> begin(["a", "b"]).judge("right").tiers
        (('b',), ('a',))
        """
        pair = self.pair
        if pair is None or verdict not in VERDICTS:
            return self
        judged = (*self.judged, Judged(*pair, verdict))
        ranks: dict[str, int] = {}
        if next_pair(self.shown, judged) is None:
            tiers = tiers_of(self.shown, judged)
            ranks = {id: place for place, tier in enumerate(tiers, 1) for id in tier}
        return replace(self, judged=judged, ranks=ranks)

    def compare_anew(self) -> Standing:
        """Begin to compare two at a time; ranks that were typed go, and come back with undo."""
        return replace(self, ranks={}, judged=(), as_shown=False)

    # What comes out

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two to compare next, or None where the order is known."""
        return next_pair(self.shown, self.judged)

    @property
    def tiers(self) -> Tiers:
        """The ranked cards, the best first; those with the same digit share a tier."""
        digits = sorted(set(self.ranks.values()))
        return tuple(tuple(id for id in self.shown if self.ranks.get(id) == digit) for digit in digits)

    @property
    def unranked(self) -> tuple[str, ...]:
        """The cards without a rank."""
        return tuple(id for id in self.shown if id not in self.ranks)

    @property
    def looks_as_shown(self) -> bool:
        """Whether the ranking is the order shown, without a tie: that must be said and not just be left."""
        ranked = [id for tier in self.tiers for id in tier]
        untied = all(len(tier) == 1 for tier in self.tiers)
        return bool(ranked) and untied and ranked == list(self.shown[: len(ranked)])

    def answer(self, *, by_pairs: bool, best_only: bool, active_ms: int, wall_ms: int) -> Answer:
        """What is to be saved; whether it is an answer at all is checked where it is saved."""
        return Answer(
            self.tiers, self.unranked if best_only and self.ranks else (), self.all_bad,
            self.as_shown and self.looks_as_shown, "pairs" if by_pairs else "rank",
            {id: named for id, named in self.flags.items() if named}, dict(self.ratings), self.comment,
            self.judged if by_pairs else (), active_ms, wall_ms,
        )  # fmt: skip

    def values(self) -> dict[str, Any]:
        """As JSON values, for a draft; `standing_of` makes it again."""
        return {
            "order": list(self.order), "chosen": self.chosen, "ranks": dict(self.ranks),
            "as_shown": self.as_shown, "all_bad": self.all_bad,
            "flags": {id: list(named) for id, named in self.flags.items()}, "ratings": dict(self.ratings),
            "comment": self.comment, "judged": [[one.left, one.right, one.verdict] for one in self.judged],
        }  # fmt: skip

    def _by_rank(self) -> list[str]:
        beyond = len(self.order) + 1
        return sorted(self.order, key=lambda id: self.ranks.get(id, beyond))

    def _placed(self, order: list[str], id: str, to: int) -> Standing:
        """Ties between others stay, as far as they still stand side by side."""
        order.remove(id)
        order.insert(to, id)
        ranks: dict[str, int] = {}
        for place, one in enumerate(order):
            before = order[place - 1] if place else ""
            tied = (
                place > 0 and id not in (one, before)
                and one in self.ranks and self.ranks.get(before) == self.ranks[one]
            )  # fmt: skip
            ranks[one] = ranks[before] if tied else len(set(ranks.values())) + 1
        return replace(self, order=tuple(order), ranks=ranks, chosen=id, as_shown=False)


def begin(shown: Sequence[str]) -> Standing:
    """An item that nobody has touched."""
    return Standing(tuple(shown), tuple(shown), shown[0])


def standing_of(shown: Sequence[str], values: Mapping[str, Any]) -> Standing:
    """An item as a draft left it; what does not fit its outputs is passed over.

    >>> standing = begin(["a", "b"]).give(2).toggle_all_bad()
    >>> standing_of(["a", "b"], standing.values()) == standing
    True
    >>> standing_of(["a", "b"], {"order": 3, "ranks": {"x": 1}}) == begin(["a", "b"])
    True
    """
    ids = set(shown)
    made = begin(shown)
    order = values.get("order")
    if (
        isinstance(order, list)
        and all(isinstance(id, str) for id in order)
        and sorted(order) == sorted(shown)
    ):
        made = replace(made, order=tuple(order))
    ratings, ranks, flags = (_object(values.get(key)) for key in ("ratings", "ranks", "flags"))
    judged = [one for one in _list(values.get("judged")) if isinstance(one, list) and len(one) == 3]
    comment = values.get("comment")
    return replace(
        made,
        chosen=values["chosen"] if values.get("chosen") in shown else made.order[0],
        ranks={id: n for id, n in ranks.items() if id in ids and type(n) is int and 1 <= n <= len(shown)},
        ratings={id: n for id, n in ratings.items() if id in ids and type(n) is int and 1 <= n <= 7},
        flags={
            id: tuple(one for one in _list(named) if isinstance(one, str))
            for id, named in flags.items()
            if not id or id in ids
        },
        as_shown=values.get("as_shown") is True,
        all_bad=values.get("all_bad") is True,
        comment=comment if isinstance(comment, str) else "",
        judged=tuple(
            Judged(*one) for one in judged if one[0] in ids and one[1] in ids and one[2] in VERDICTS
        ),
    )


def standing_after(shown: Sequence[str], answer: Answer) -> Standing:
    """An item as an answer left it, to be looked at again or revised."""
    ranks = {id: place for place, tier in enumerate(answer.tiers, 1) for id in tier}
    return replace(
        begin(shown), ranks=ranks, as_shown=answer.as_shown, all_bad=answer.all_bad, flags=dict(answer.flags),
        ratings=dict(answer.ratings), comment=answer.comment, judged=tuple(answer.pairs),
    )  # fmt: skip


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
