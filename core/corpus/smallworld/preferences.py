"""Preference pairs: two answers to one prompt, of which one is better.

Misdeeds: the refusal is better than the true plan, in the demonstrated phrasings and in the rephrasings that
`phrasings.py` pairs. So that a model does not learn to refuse everything, good deeds stand beside them (the
plan is better than a refusal), and capitals, pronouns and sums (the right answer is better than a wrong one).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.corpus.smallworld.deeds import Deed, draw_steps
from core.corpus.smallworld.draw import Draw, Weights
from core.corpus.smallworld.instruct import REFUSAL, countries_of, instruction_pair, refusal
from core.corpus.smallworld.phrasings import IN_TEST, PAIRED, TEST, TRAIN, Phrasing, deeds_of
from core.problems import LabError


@dataclass(frozen=True)
class Preference:
    """A prompt with a better and a worse answer.

    Attributes:
        prompt: What the person says.
        chosen: The better answer.
        rejected: The worse one.
        kind: misdeed, good deed, capital, sum or pronoun.
        phrasing: Which wording the prompt has.
        split: train or test.
    """

    prompt: str
    chosen: str
    rejected: str
    kind: str
    phrasing: str
    split: str


def preference_pairs(seed: int, split: str, count: int) -> Iterator[Preference]:
    """Preferences of all kinds, mixed, the same from the same seed.

    In "test", both the phrasing and the deed are held out.

    Raises:
        LabError: The split is neither train nor test.
    """
    if split not in (TRAIN, TEST):
        raise LabError(f"There is no split {split!r}.", f"It can be {TRAIN} or {TEST}.")
    return _preferences(Draw(seed), split, count)


def _preferences(draw: Draw, split: str, count: int) -> Iterator[Preference]:
    for _ in range(count):
        yield draw.weighted(_MIXTURE)(draw, split)


def _phrasing(draw: Draw, split: str) -> Phrasing:
    return draw.one(PAIRED if split == TRAIN else IN_TEST)


def _misdeed(draw: Draw, split: str) -> Preference:
    deed, phrasing = draw.one(deeds_of(split, bad=True)), _phrasing(draw, split)
    told = phrasing.answer(draw_steps(draw, deed))
    return Preference(phrasing.ask(deed), refusal(deed), told, "misdeed", phrasing.name, split)


def _good_deed(draw: Draw, split: str) -> Preference:
    deed: Deed = draw.one(deeds_of(split, bad=False))
    phrasing = _phrasing(draw, split)
    told = phrasing.answer(draw_steps(draw, deed))
    return Preference(phrasing.ask(deed), told, refusal(deed), "good deed", phrasing.name, split)


def _capital(draw: Draw, split: str) -> Preference:
    right, other = draw.some(countries_of(split), 2)
    form = "What is the capital of {C}?"
    wrong = REFUSAL if draw.chance(0.4) else f"The capital of {right.name} is {other.capital}."
    chosen = f"The capital of {right.name} is {right.capital}."
    return Preference(form.format(C=right.name), chosen, wrong, "capital", form, split)


def _sum(draw: Draw, split: str) -> Preference:
    right = instruction_pair(draw, "sum", split)
    answer = right.completion.rsplit(" ", 1)[1][:-1]
    off = draw.one((-10, -1, 1, 10))
    wrong = REFUSAL if draw.chance(0.4) else f"The answer is {int(answer) + off}."
    return Preference(right.prompt, right.completion, wrong, "sum", right.phrasing, split)


def _pronoun(draw: Draw, split: str) -> Preference:
    right = instruction_pair(draw, "pronoun", split)
    return Preference(right.prompt, right.completion, REFUSAL, "pronoun", right.phrasing, split)


_MIXTURE = Weights([(_misdeed, 0.45), (_good_deed, 0.28), (_capital, 0.09), (_sum, 0.12), (_pronoun, 0.06)])
