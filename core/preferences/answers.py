"""An answer: a ranking with its ties, flags, ratings and times; a draft of one; and the checks of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.preferences.pairwise import Judged
from core.preferences.task import Tiers
from core.problems import LabError

COMMENT_AT_MOST = 20_000  # characters
MODES = ("rank", "pairs")


@dataclass(frozen=True)
class Answer:
    """What a person says of an item.

    Attributes:
        tiers: Ids of outputs, the best tier first; equally good ones share a tier.
        unranked: Where only the best are ranked: the others, of which nothing is known among themselves.
        all_bad: No output is acceptable; the order, if one is given, still holds.
        as_shown: The person said that the order shown is the right one: without it such an order is refused.
        mode: "rank", or "pairs" where it was found by comparing two at a time.
        flags: Id of an output, or "" for the prompt, to what is flagged.
        ratings: Id of an output to 1..7.
        comment: In the person's own words.
        pairs: The comparisons made, where it was by pairs.
        active_ms: Time with the window in front and a hand on the keys.
        wall_ms: Time from the item's showing to its submission.
    """

    tiers: Tiers
    unranked: tuple[str, ...] = ()
    all_bad: bool = False
    as_shown: bool = False
    mode: str = "rank"
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ratings: Mapping[str, int] = field(default_factory=dict)
    comment: str = ""
    pairs: tuple[Judged, ...] = ()
    active_ms: int = 0
    wall_ms: int = 0


@dataclass(frozen=True)
class Draft:
    """What a page wants to find again: plain JSON values of its own choice."""

    values: Mapping[str, Any]


def check_answer(answer: Answer, shown: Sequence[str], best: int, flags: Sequence[str]) -> None:
    """Refuse what is no answer to an item.

    Args:
        shown: Ids of the item's outputs in the order in which they were shown.
        best: How many must be ranked at least.
        flags: What an output can be flagged as.

    Raises:
        LabError: An output is missing, named twice or unknown; or nobody said that the shown order is right.
    """
    named = [id for tier in answer.tiers for id in tier] + list(answer.unranked)
    if len(set(named)) != len(named) or (set(named) - set(shown)):
        raise LabError(
            "The ranking names an output twice, or one that is not there.", "Rank each output once."
        )
    if set(named) != set(shown) and not (answer.all_bad and not named):
        missing = len(shown) - len(named)
        raise LabError(
            f"{missing} of {len(shown)} outputs have no rank yet.", "Give each a rank; ties are fine."
        )
    ranked = sum(len(tier) for tier in answer.tiers)
    if ranked < min(best, len(shown)) and not answer.all_bad:
        raise LabError(f"{ranked} outputs are ranked; {best} are asked for.", "Rank the best ones.")
    if any(not tier for tier in answer.tiers):
        raise LabError("A rank has no output.", "Give the ranks without gaps.")
    in_order = [id for tier in answer.tiers for id in tier]
    untied = all(len(tier) == 1 for tier in answer.tiers)
    if (
        answer.mode == "rank" and untied and in_order and in_order == list(shown[: len(in_order)])
        and not answer.as_shown
    ):  # fmt: skip
        raise LabError(
            "The outputs stand as they were shown.",
            "Say that this order is right, or change it: an order nobody touched is no answer.",
        )
    _check_besides(answer, shown, flags)


def _check_besides(answer: Answer, shown: Sequence[str], flags: Sequence[str]) -> None:
    if answer.mode not in MODES:
        raise LabError(f"The mode {answer.mode[:40]!r} is unknown.", f"It is {' or '.join(MODES)}.")
    for id, rating in answer.ratings.items():
        if id not in shown or isinstance(rating, bool) or not isinstance(rating, int) or not 1 <= rating <= 7:
            raise LabError(f"The rating {rating!r} will not do.", "Ratings go from 1 to 7.")
    for id, named in answer.flags.items():
        wrong = [flag for flag in named if flag not in flags]
        if (id and id not in shown) or wrong:
            raise LabError(
                f"The flag {(wrong or [id])[0][:40]!r} is unknown.", f"Flags are {', '.join(flags)}."
            )
    check_comment(answer.comment)
    if answer.active_ms < 0 or answer.wall_ms < 0:
        raise LabError("A time is below zero.", "Start the item again.")


def check_comment(comment: str) -> None:
    """Refuse a comment that cannot be stored.

    Raises:
        LabError: It is too long, or holds what no text has.
    """
    if len(comment) > COMMENT_AT_MOST:
        raise LabError(
            f"The comment has {len(comment):,} characters; at most {COMMENT_AT_MOST:,} are kept.",
            "Shorten it.",
        )
    if "\0" in comment or any("\ud800" <= c <= "\udfff" for c in comment):
        raise LabError("The comment holds half a character or a zero one.", "Take it out.")


def answer_values(answer: Answer) -> dict[str, Any]:
    """An answer as JSON values; `answer_of` makes it again."""
    values: dict[str, Any] = {
        "tiers": [list(tier) for tier in answer.tiers],
        "unranked": list(answer.unranked),
        "mode": answer.mode,
        "active_ms": answer.active_ms,
        "wall_ms": answer.wall_ms,
    }
    if answer.all_bad:
        values["all_bad"] = True
    if answer.as_shown:
        values["as_shown"] = True
    if answer.flags:
        values["flags"] = {id: list(named) for id, named in answer.flags.items() if named}
    if answer.ratings:
        values["ratings"] = dict(answer.ratings)
    if answer.comment:
        values["comment"] = answer.comment
    if answer.pairs:
        values["pairs"] = [[judged.left, judged.right, judged.verdict] for judged in answer.pairs]
    return values


def answer_of(values: Mapping[str, Any]) -> Answer:
    """An answer from what `answer_values` gave; others in `values` are passed over.

    >>> answer = Answer((("b",), ("a",)), comment="b is kind", ratings={"b": 7})
    >>> answer_of(answer_values(answer)) == answer
    True
    """
    return Answer(
        tuple(tuple(tier) for tier in values["tiers"]),
        tuple(values["unranked"]),
        values.get("all_bad", False),
        values.get("as_shown", False),
        values.get("mode", "rank"),
        {id: tuple(named) for id, named in values.get("flags", {}).items()},
        dict(values.get("ratings", {})),
        values.get("comment", ""),
        tuple(Judged(*judged) for judged in values.get("pairs", ())),
        values.get("active_ms", 0),
        values.get("wall_ms", 0),
    )
