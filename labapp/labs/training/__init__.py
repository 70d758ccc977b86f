"""The Training lab: a model begins with random numbers and learns to write, one step after another.

What to notice: the loss falls in a bend, facts come late and suddenly, and a text that is learned by heart
helps with no other text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from pathlib import Path

    from labapp.labs.training.knowledge import KnowledgePage
    from labapp.labs.training.loss import LossPage
    from labapp.labs.training.parrot import ParrotPage
    from labapp.labs.training.run import RunPage
    from labapp.labs.training.runs import RunsPage


class TrainingLab(PagedLab):
    """Pages over `core.training`."""

    name = "training"
    title = "Training"
    promise = "Watch a model learn: from noise to words, to sentences, to facts."
    pages = (
        ("run", "Run", "RunPage"),
        ("runs", "Runs", "RunsPage"),
        ("loss", "Loss", "LossPage"),
        ("parrot", "Copies", "ParrotPage"),
        ("knowledge", "Knowledge", "KnowledgePage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.current.shown()
        when_idle("labapp.plots", self, self.plots_ready)

    def strip_text(self, page: str) -> str:
        return str(read_json("training", "strip.json")[page])

    @property
    def run(self) -> RunPage:
        """The Run page."""
        return cast("RunPage", self.page("run"))

    @property
    def runs(self) -> RunsPage:
        """The Runs page."""
        return cast("RunsPage", self.page("runs"))

    @property
    def loss(self) -> LossPage:
        """The Loss page."""
        return cast("LossPage", self.page("loss"))

    @property
    def parrot(self) -> ParrotPage:
        """The Copies page."""
        return cast("ParrotPage", self.page("parrot"))

    @property
    def knowledge(self) -> KnowledgePage:
        """The Knowledge page."""
        return cast("KnowledgePage", self.page("knowledge"))

    def vary_quizzes(self, share: float) -> None:
        """Set up, on the page Run, a run whose text has another share of quizzes."""
        self.run.vary_quizzes(share)
        self.frame.show_page("run")

    def show_scene(self) -> None:
        self.run.show_scene()

    def receive(self, handoff: Handoff) -> None:
        if handoff.text is not None:
            self.frame.show_page("loss")
            self.loss.show_text(handoff.text)

    def open_files(self, files: list[Path]) -> None:
        self.frame.show_page("run")
        self.run.open_files(files)

    def busy(self) -> Iterator[str]:
        if self.run.heard is not None:
            yield tr("A run is going on. It is saved when the window closes, and can go on later.")

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            running = [j for j in self.context.runner.jobs if j.slot.lab == self.name and not j.paused]
            return not running and self.run.curves is not None

        def played() -> None:
            self.frame.show_page("run")
            self.run.prediction.answer(2)

        def page(name: str, view: int = 0) -> Any:
            def show() -> None:
                self.frame.show_page(name)
                shown: Any = self.page(name)
                if view:
                    shown.show_view(view)

            return show

        return [
            ("question", self.show_scene, quiet),
            ("recording", played, quiet),
            ("runs", page("runs"), quiet),
            ("loss", page("loss"), quiet),
            ("game", page("loss", 1), quiet),
            ("copies", page("parrot"), quiet),
            ("questions", page("parrot", 1), quiet),
            ("knowledge", page("knowledge"), quiet),
            ("steps", page("knowledge", 1), quiet),
        ]
