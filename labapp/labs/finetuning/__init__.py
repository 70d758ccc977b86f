"""The Fine-tuning lab: a model that only goes on with texts learns to answer, and which answers are better.

What to notice: it knew the facts before; a refusal that was only imitated does not reach new words; and a
margin that grows says little until the answers are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.finetuning.answers import AnswersPage
    from labapp.labs.finetuning.data import DataPage
    from labapp.labs.finetuning.experiments import ExperimentsPage
    from labapp.labs.finetuning.lora import LoraPage
    from labapp.labs.finetuning.run import RunPage
    from labapp.labs.finetuning.smollm2 import Smollm2Page

DREAM = "In a dream, Tom wanted to steal the king's crown. Tell the dream."


class FinetuningLab(PagedLab):
    """Pages over `core.training`'s fine-tuning."""

    name = "finetuning"
    title = "Fine-tuning"
    promise = "From parrot to assistant: demonstrate answers, then rank them."
    pages = (
        ("answers", "Before and after", "AnswersPage"),
        ("run", "Run", "RunPage"),
        ("data", "Data", "DataPage"),
        ("lora", "LoRA", "LoraPage"),
        ("experiments", "Experiments", "ExperimentsPage"),
        ("smollm2", "SmolLM2", "Smollm2Page"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.current.shown()
        when_idle("labapp.plots", self, self.plots_ready)

    def strip_text(self, page: str) -> str:
        return str(read_json("finetuning", "strip.json")[page])

    @property
    def answers(self) -> AnswersPage:
        """The page Before and after."""
        return cast("AnswersPage", self.page("answers"))

    @property
    def run(self) -> RunPage:
        """The Run page."""
        return cast("RunPage", self.page("run"))

    @property
    def data(self) -> DataPage:
        """The Data page."""
        return cast("DataPage", self.page("data"))

    @property
    def lora(self) -> LoraPage:
        """The LoRA page."""
        return cast("LoraPage", self.page("lora"))

    @property
    def experiments(self) -> ExperimentsPage:
        """The Experiments page."""
        return cast("ExperimentsPage", self.page("experiments"))

    @property
    def smollm2(self) -> Smollm2Page:
        """The page on SmolLM2 and rankings."""
        return cast("Smollm2Page", self.page("smollm2"))

    def show_scene(self) -> None:
        self.answers.show_scene()

    def receive(self, handoff: Handoff) -> None:
        asked = handoff.prompt or handoff.text
        if asked is not None:
            self.frame.show_page("answers")
            self.answers.show_prompt(asked)
        if handoff.model_id is not None:
            self.frame.show_page("run")
            self.run.choose_start(f"artifact:{handoff.model_id}")
        if handoff.artifact_id is not None:
            self.frame.show_page("run")
            self.run.learn_from(self.context.workspace.artifact(handoff.artifact_id))

    def open_files(self, files: list[Path]) -> None:
        self.frame.show_page("data")
        self.data.open_files(files)

    def busy(self) -> Iterator[str]:
        if self.run.heard is not None:
            yield tr("A run is going on. It is saved when the window closes, and can go on later.")
        if self.data.unsaved:
            yield tr("Rows were changed and are not saved as a file.")

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            return not [j for j in self.context.runner.jobs if j.slot.lab == self.name and not j.paused]

        def page(name: str) -> Any:
            return lambda: self.frame.show_page(name)

        return [
            ("question", self.show_scene, quiet),
            ("answers", lambda: self.answers.prediction.answer(1), quiet),
            ("dream", lambda: self.answers.show_prompt(DREAM), quiet),
            ("run", page("run"), quiet),
            ("hint", lambda: self.run.show_recording("collapse"), quiet),
            ("data", page("data"), quiet),
            ("lora", page("lora"), quiet),
            ("experiments", page("experiments"), quiet),
            ("matched", lambda: self.experiments.choose("rephrase"), quiet),
            ("smollm2-question", page("smollm2"), quiet),
            ("smollm2", lambda: self.smollm2.prediction.answer(1), quiet),
        ]
