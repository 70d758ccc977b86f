"""A task in the making, without widgets: prompts, where their candidates come from, what else belongs to it.

The stage takes the models from the shelf, samples, and gives them back whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.preferences.importing import DraftPrompt
from core.preferences.sampling_settings import SampleSettings, temperatures_of
from core.preferences.task import Item, Task, TaskSettings, make_task
from core.problems import LabError
from core.stages import pass_on
from labapp.models import Models
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.sampling import Sampled


@dataclass(frozen=True)
class Place:
    """Where a model lies, and what people call it."""

    key: str
    path: Path
    title: str


@dataclass
class Making:
    """What has been gathered so far.

    Attributes:
        prompts: As they were read.
        items: The prompts that have their outputs.
        sampled: What sampling gave before it was stopped.
        places: Models to sample from.
    """

    prompts: tuple[DraftPrompt, ...] = ()
    items: tuple[Item, ...] = ()
    sampled: list[Sampled] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def take(self, prompts: Sequence[DraftPrompt]) -> None:
        """Begin with other prompts; those that bring outputs are ready.

        Raises:
            LabError: Some bring outputs and some do not, or outputs will not do; nothing is taken.
        """
        ready = [prompt for prompt in prompts if prompt.outputs]
        if ready and len(ready) < len(prompts):
            without = next(prompt for prompt in prompts if not prompt.outputs)
            raise LabError(
                f"{len(ready):,} prompts bring answers, {len(prompts) - len(ready):,} do not "
                f"(the first in line {without.line:,}).",
                "Give all of them answers, or none.",
            )
        items = tuple(prompt.item() for prompt in ready)
        self.prompts, self.items, self.sampled = tuple(prompts), items, []

    @property
    def marked(self) -> int:
        """How many items have an output that gives away who made it."""
        return sum(any(output.marks for output in item.outputs) for item in self.items)

    def task(self, name: str, guidelines: str, settings: TaskSettings, *, practice: bool, gold: bool) -> Task:
        """The task as it would be ranked.

        Raises:
            LabError: No prompt has outputs yet, or something does not fit.
        """
        from core.preferences.shipped import gold_items, practice_items

        if not self.items:
            raise LabError(
                tr("No prompt has answers to rank yet."),
                tr("Sample them, or choose prompts that bring them."),
            )
        more = (*(practice_items() if practice else ()), *(gold_items() if gold else ()))
        known = {item.id for item in self.items}
        return make_task(
            name, (*self.items, *(one for one in more if one.id not in known)), guidelines, settings
        )


def sample_all(
    models: Models,
    places: Sequence[Place],
    prompts: Sequence[DraftPrompt],
    settings: SampleSettings,
    have: Sequence[Sampled],
) -> Iterator[Any]:
    """Sample outputs from models of the shelf; ends as `sample_outputs` does.

    Raises:
        LabError: There is no prompt or no model, or a setting is at fault.
    """
    temperatures_of(settings)
    if not prompts or not places:
        raise LabError(
            tr("There is no prompt or no model to sample from."), tr("Choose at least one of each.")
        )
    return _sample_all(models, tuple(places), tuple(prompts), settings, tuple(have))


def _sample_all(
    models: Models,
    places: Sequence[Place],
    prompts: Sequence[DraftPrompt],
    settings: SampleSettings,
    have: Sequence[Sampled],
) -> Iterator[Any]:
    from core.preferences.sampling import Source, sample_outputs

    loaded: list[Any] = []
    try:
        for place in places:
            loaded.append((yield from pass_on(models.take(place.path, place.title))))
        sources = [Source(place.title, one) for place, one in zip(places, loaded, strict=True)]
        yield from sample_outputs(prompts, sources, settings, have)
    finally:
        for one in loaded:
            models.give_back(one)
