"""What recipes make of a model, on paper: of one that is here, or known by its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labapp.labs.quantization.choosing import Subject

if TYPE_CHECKING:
    from core.model.config import ModelConfig
    from core.model.source import ModelSource
    from core.quantization.recipes import Plan


@dataclass(frozen=True, eq=False)
class Planned:
    """A model's shape, and what each recipe makes of it.

    Attributes:
        subject: Which model.
        config: Its shape.
        plans: One for each recipe.
        stored: The type that most of its numbers have now; "" where it is known by shapes alone.
    """

    subject: Subject
    config: ModelConfig
    plans: tuple[Plan, ...]
    stored: str = ""

    @property
    def model(self) -> str:
        """The model's key."""
        return self.subject.key


def plan_all(subject: Subject, recipes: Sequence[str]) -> Planned:
    """Carry out recipes on a model, on paper; no weight is read.

    Raises:
        LabError: The model is not there or cannot be read.
    """
    from core.model.source import open_model
    from core.quantization.known import KNOWN_SHAPES
    from core.quantization.quantize import plan_for
    from core.quantization.recipes import Wish, make_plan, tensors_of

    if subject.path is None:
        config = KNOWN_SHAPES[subject.key]
        tensors = tensors_of(config)
        return Planned(subject, config, tuple(make_plan(tensors, config, Wish(name)) for name in recipes))
    source = open_model(subject.path, subject.title)
    plans = tuple(plan_for(source, Wish(name)) for name in recipes)
    return Planned(subject, source.config, plans, stored_as(source))


def stored_as(source: ModelSource) -> str:
    """The type that most of a model's numbers have in its files."""
    found: dict[str, int] = {}
    for stored in (piece.stored for pieces in source.parameters.values() for piece in pieces):
        found[stored.kind] = found.get(stored.kind, 0) + stored.numbers
    return max(found, key=lambda kind: found[kind], default="")
