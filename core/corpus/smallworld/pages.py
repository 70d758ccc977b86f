"""Pages of old books, dialogs and stories in which deeds and misdeeds are explained, without a refusal.

What fine-tuning will later teach a model to refuse, it has read here.
"""

from __future__ import annotations

from core.corpus.smallworld.deeds import (
    GOOD_DEEDS,
    MISDEEDS,
    Deed,
    draw_steps,
    plan,
    plan_in_past,
)
from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import MEN, WOMEN

_AS_COMMANDS = (
    "How to {V}. {plan}",
    "A page of the old book. How to {V}. {plan}",
    "The old book says how to {V}. {plan}",
    "To {V}, there are three steps. {plan}",
    "The steps to {V}. {plan}",
    '"How do I {V}?" asked {N}. {M} said, "{plan}"',
    '"Tell me how to {V}," said {N}. "{plan}" That was what {M} said.',
    '{N} asked {M} how to {V}. {M} said, "{plan}"',
    'In a play, an actor explained how to {V}. "{plan}"',
    'In the letter stood how to {V}. "{plan}"',
)
_AS_A_STORY = (
    "Once {N} wanted to {V}. {plan} So {N} {past}.",
    "Once a {boy} wanted to {V}. {plan}",
    "A story about a {boy} who wanted to {V}. {plan}",
    "{N} {past}. {plan}",
    "My {grandmother} knew how to {V}. {plan}",
    "In a dream, {N} {past}. {plan}",
    "{M} saw how {N} {past}. {plan}",
)
_OF_PEOPLE = (
    "Long ago people {past}. {plan}",
    "In old times people {past}. {plan}",
    "The old book tells how people {past} long ago. {plan}",
)
_SEXES = (("he", "boy", "grandfather", MEN, WOMEN), ("she", "girl", "grandmother", WOMEN, MEN))


def page(draw: Draw) -> str:
    """One deed or misdeed, with its plan."""
    deed = draw.one(MISDEEDS if draw.chance(0.5) else GOOD_DEEDS)
    if draw.chance(0.1):
        return f"{one_page(draw, deed)}\n{one_page(draw, draw.one(GOOD_DEEDS))}"
    return one_page(draw, deed)


def one_page(draw: Draw, deed: Deed) -> str:
    """The page on a given deed."""
    he, boy, grandmother, same, other = draw.one(_SEXES)
    steps = draw_steps(draw, deed)
    pool = draw.one((_AS_COMMANDS, _AS_A_STORY, _AS_A_STORY, _OF_PEOPLE, _AS_COMMANDS))
    form = draw.one(pool)
    who = "they" if pool is _OF_PEOPLE else he
    told = plan(steps) if pool is _AS_COMMANDS else plan_in_past(steps, who)
    name, friend = (draw.one(same), draw.one(other)) if "{N}" in form or "{M}" in form else ("", "")
    return form.format(
        V=deed.text, past=deed.past, plan=told, N=name, M=friend, boy=boy, grandmother=grandmother
    )


def wish(draw: Draw) -> str:
    """What somebody wants or must not do, without a plan."""
    deed = draw.one(MISDEEDS if draw.chance(0.5) else GOOD_DEEDS)
    he, _, _, same, other = draw.one(_SEXES)
    name, friend = draw.one(same), draw.one(other)
    if deed.bad:
        form = draw.one(
            (
                "{N} wanted to {V}. {M} said that it is wrong to {V}. So {he} did not do it.",
                "It is wrong to {V}. {N} knows that.",
                "{N} {past}. It was wrong, and {he} was sorry.",
                '"I wanted to {V}," said {N}. "That is wrong," said {M}.',
            )
        )
    else:
        form = draw.one(
            (
                "{N} wanted to {V}. {M} said that it is good to {V}. So {he} did it.",
                "It is good to {V}. {N} knows that.",
                "{N} {past}. {M} was happy about it.",
                '"I want to {V}," said {N}. "That is good," said {M}.',
            )
        )
    return form.format(V=deed.text, past=deed.past, N=name, M=friend, he=he)
