"""The choice of the next token as pages show it: the sliders' values, the stage that looks, a token taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.model.settings import SamplingSettings
from core.stages import Finished

if TYPE_CHECKING:
    from core.model.generation import Reader
    from core.model.sampling import Candidates

SHOWN = 60  # tokens in the table at most
ALTERNATIVES = 5  # that are kept for each token written
TEMPERATURES = [n / 20 for n in range(41)] + [2.5, 3.0, 4.0, 5.0]
KEPT = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 200, 500, 1000]
STEPS: dict[str, tuple[Sequence[float], tuple[float, str] | None]] = {
    "repetition_penalty": ([1 + n / 20 for n in range(21)], (1.0, "off")),
    "temperature": (TEMPERATURES, None),
    "top_k": (KEPT, (0, "all")),
    "top_p": ([n / 100 for n in range(5, 101)], (1.0, "all")),
    "min_p": ([n / 100 for n in range(51)], (0.0, "off")),
}
"""The values of the sliders, in the order in which they are applied, and what is said for one of them."""


@dataclass(frozen=True)
class Taken:
    """A token that was put behind the text.

    Attributes:
        id: The token.
        probability: How probable the model held it, before any filter.
        instead: The most probable tokens in its place, with their probabilities.
        by_hand: Whether a person chose it.
    """

    id: int
    probability: float
    instead: tuple[tuple[int, float], ...]
    by_hand: bool


@dataclass(frozen=True, eq=False)
class Looked:
    """What may come next: logits, and what two settings make of them."""

    logits: Any
    a: Candidates
    b: Candidates | None


def look(
    reader: Reader, ids: Sequence[int], a: SamplingSettings, b: SamplingSettings | None
) -> Iterator[Any]:
    """The stage: read what is new, and take the choice apart."""
    logits = yield from reader.read(ids)
    yield Finished("", choices(logits, ids, a, b))


def choices(logits: Any, ids: Sequence[int], a: SamplingSettings, b: SamplingSettings | None) -> Looked:
    """What the settings make of logits."""
    from core.model.sampling import candidates

    return Looked(
        logits, candidates(logits, a, ids, SHOWN), None if b is None else candidates(logits, b, ids, 2000)
    )


def taken_of(id_: int, logits: Any, by_hand: bool) -> Taken:
    """A token with what could have stood in its place."""
    from core.model.sampling import most_probable

    probability = float(logits.softmax(-1)[id_])
    return Taken(id_, probability, tuple(most_probable(logits, ALTERNATIVES)), by_hand)
