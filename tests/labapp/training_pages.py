"""A lab of only the pages Loss and Copies, whose run stands still; and a run that is small and real."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from core.artifacts import Workspace
from core.stages import run_to_end
from core.training.events import Controls
from core.training.presets import CorpusChoice, RunPlan
from core.training.runs import start_run
from core.training.settings import ShapeSettings, TrainingSettings
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.labs import Entry
from labapp.pages import LabPage, PagedLab
from tests.labapp.opened import opened, wait

PLAN = RunPlan(
    "taste",
    CorpusChoice(words=1500),
    ShapeSettings(layers=1, width=32, heads=2, context=64),
    TrainingSettings(
        steps=4, batch=2, evaluate_every=4, evaluate_tokens=64, save_every=4, precision="f32", warmup=1
    ),
    (),
)


class StillRun(QObject):
    """What the pages know of the Run page."""

    seen = Signal(object)
    changed = Signal()

    def __init__(self, folder: Path | None) -> None:
        super().__init__()
        self.folder = folder
        self.heard: Controls | None = None


class Host(PagedLab):
    """Only what the two pages need of their lab."""

    name = "training"
    title = "Training"
    promise = "Two pages of it."
    pages = (("loss", "Loss", "LossPage"), ("parrot", "Copies", "ParrotPage"))

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        works = context.workspace.works("training")
        folder = next((work.folder for work in works if work.name == "taste"), None)
        self.run = StillRun(folder)
        super().__init__(context, parent)
        self.current.shown()
        when_idle("labapp.plots", self, self.plots_ready)

    def strip_text(self, page: str) -> str:
        return page


Host.__module__ = "labapp.labs.training"  # where the pages are looked for

ENTRY = Entry("training", "Training", "Pretraining", "chart-line", f"{__name__}:Host", frozenset())


def small_run(root: Path, name: str) -> Path:
    """Train a tiny model for four steps in a workspace, and give the run's folder."""
    with Workspace(root).new_work("training", name) as work:
        run_to_end(start_run(work.folder, dataclasses.replace(PLAN, name=name)))
        return work.folder


Page = TypeVar("Page", bound=LabPage)


@dataclass
class Shown(Generic[Page]):
    """A page in a window; what waits until nothing runs and something holds."""

    page: Page
    lab: Host
    wait: Callable[..., None]


@contextmanager
def opened_page(qtbot: QtBot, root: Path, name: str, cls: type[Page]) -> Iterator[Shown[Page]]:
    """A window that shows one of the two pages, its model loaded where there is a run."""
    with opened(qtbot, root, (ENTRY,), "training") as window:
        lab = window.lab
        assert isinstance(lab, Host)
        lab.frame.show_page(name)
        page = lab.page(name)
        assert isinstance(page, cls)
        shown = Shown(page, lab, partial(wait, qtbot, window))
        try:
            yield shown
        finally:
            shown.__dict__.clear()  # pytest keeps it longer than the window may be kept
            del page, lab
