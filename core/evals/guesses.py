"""A person foresees tokens, too: their perplexity beside a model's on the same tokens and the same choices.

A person chooses one of a few tokens and says how sure they are; the others share the rest of their confidence
evenly. Among so few tokens anybody has it easier than among all, so that the model's probabilities are
compared after they, too, are shared out among these few. Its perplexity among all tokens is given beside.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.problems import LabError

ENOUGH = 8  # rounds before two perplexities are set side by side
SURE = (0.2, 0.5, 0.8, 0.95)  # how sure a person may be; 0.2 among five tokens is no idea at all


@dataclass(frozen=True)
class Round:
    """One token to be foreseen.

    Attributes:
        candidates: Tokens to choose from, the right one among them.
        truth: Place of the right one.
        shares: The model's probability of each, among all tokens.
    """

    candidates: tuple[int, ...]
    truth: int
    shares: tuple[float, ...]

    @property
    def model_loss(self) -> float:
        """−ln of the model's probability among the candidates.

        >>> round(math.exp(Round((7, 8), truth=0, shares=(0.1, 0.3)).model_loss), 9)
        4.0
        """
        return -math.log(max(self.shares[self.truth], 1e-30) / max(sum(self.shares), 1e-30))

    @property
    def full_loss(self) -> float:
        """−ln of its probability among all tokens."""
        return -math.log(max(self.shares[self.truth], 1e-30))


@dataclass(frozen=True)
class Guess:
    """What a person said of a round.

    Attributes:
        round: Which.
        choice: Place of the token that they chose.
        sure: The probability that they gave it.
    """

    round: Round
    choice: int
    sure: float

    @property
    def right(self) -> bool:
        """Whether the token that came was chosen."""
        return self.choice == self.round.truth

    @property
    def loss(self) -> float:
        """−ln of the probability that the person gave the token that came.

        >>> five = Round((1, 2, 3, 4, 5), truth=0, shares=(0.2,) * 5)
        >>> [round(Guess(five, choice, 0.8).loss, 3) for choice in (0, 1)]
        [0.223, 2.996]
        """
        others = len(self.round.candidates) - 1
        return -math.log(self.sure if self.right else (1 - self.sure) / others)


@dataclass(frozen=True)
class Standing:
    """How a person and a model have done.

    Attributes:
        rounds: How many tokens were foreseen.
        right: How often the person chose the token that came.
        person: Their perplexity.
        model: The model's among the same candidates.
        model_full: The model's among all tokens.
    """

    rounds: int
    right: int
    person: float
    model: float
    model_full: float


def make_round(best: Sequence[tuple[int, float]], truth: int, loss: float, rng: random.Random) -> Round:
    """The candidates of a token: the model's most probable ones, with the right one in the place of the last.

    Args:
        best: The most probable tokens and their probabilities, most probable first.
        truth: The token that came.
        loss: −ln of its probability.
        rng: Puts them in an order that gives nothing away.

    Raises:
        LabError: There are not two tokens to choose from.
    """
    found = list(best)
    if truth not in [token for token, _ in found]:
        found = [*found[: max(1, len(found) - 1)], (truth, math.exp(-loss))]
    if len(found) < 2:
        raise LabError("There is one token only to choose from.", "Choose a model with more tokens.")
    rng.shuffle(found)
    tokens = [token for token, _ in found]
    return Round(tuple(tokens), tokens.index(truth), tuple(share for _, share in found))


def standing(guesses: Sequence[Guess]) -> Standing:
    """Perplexities over all guesses.

    Raises:
        LabError: There is no guess yet.

    >>> five = Round((1, 2, 3, 4, 5), truth=0, shares=(0.1,) * 5)
    >>> now = standing([Guess(five, 0, 0.2), Guess(five, 3, 0.2)])
    >>> now.rounds, now.right, round(now.person, 6), round(now.model, 6), round(now.model_full, 6)
    (2, 1, 5.0, 5.0, 10.0)
    """
    if not guesses:
        raise LabError("There is no guess yet.", "Play a round first.")
    n = len(guesses)
    means = (
        sum(guess.loss for guess in guesses) / n,
        sum(guess.round.model_loss for guess in guesses) / n,
        sum(guess.round.full_loss for guess in guesses) / n,
    )
    return Standing(n, sum(guess.right for guess in guesses), *(math.exp(mean) for mean in means))
