"""The Preferences lab: people say which of several answers is better, and a model can learn from it.

What to notice: who wrote an answer is hidden, the order is shuffled for every person, and people agree less
than one would think.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QFileDialog, QWidget

from core.problems import LabError
from core.stages import once
from labapp.handoff import Handoff
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.preferences.collect import CollectPage
    from labapp.labs.preferences.make import MakePage
    from labapp.labs.preferences.rank import RankPage
    from labapp.labs.preferences.results import ResultsPage
    from labapp.labs.preferences.tasks import Opened

ENDING = ".llmlab"
ANSWERS = (".answers.jsonl", ".db")  # of what is merged into the open task
PROMPTS = (".txt", ".csv", ".tsv", ".jsonl")


class PreferencesLab(PagedLab):
    """Pages over `core.preferences`."""

    name = "preferences"
    title = "Preferences"
    promise = "Rank answers without knowing who wrote them."
    pages = (
        ("rank", "Rank", "RankPage"),
        ("make", "Make", "MakePage"),
        ("collect", "Collect", "CollectPage"),
        ("results", "Results", "ResultsPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.alone = False  # whether only the page Rank is there, for somebody who was given a task
        when_idle("labapp.plots", self, self.plots_ready)
        self.add_menu_button()

    def strip_text(self, page: str) -> str:
        return str(read_json("preferences", "strip.json")[page])

    @property
    def rank(self) -> RankPage:
        """The page Rank."""
        return cast("RankPage", self.page("rank"))

    @property
    def make(self) -> MakePage:
        """The page Make."""
        return cast("MakePage", self.page("make"))

    @property
    def collect(self) -> CollectPage:
        """The page Collect."""
        return cast("CollectPage", self.page("collect"))

    @property
    def results(self) -> ResultsPage:
        """The page Results."""
        return cast("ResultsPage", self.page("results"))

    def task_opened(self, opened: Opened) -> None:
        """Another task is open on the page Rank."""
        made = self._pages
        if "collect" in made:
            self.collect.task_opened(opened.key)
        if "results" in made and self.frame.page == "results":
            self.results.read_if_new()

    def stand_alone(self) -> None:
        self.alone = True
        self.frame.show_only("rank")
        self.rank.stand_alone()

    def show_results(self) -> None:
        """Show the results of the task that is open."""
        self.frame.show_page("results")

    # Files.

    def ask_for_task_file(self) -> None:
        """Ask for a task's file and open it."""
        chosen, _ = QFileDialog.getOpenFileName(self, tr("Open a task’s file"), "", f"*{ENDING}")
        if chosen:
            self.attempt(self.open_task_file, Path(chosen))

    def open_task_file(self, path: Path) -> None:
        """Take a task's file into the workspace and rank it.

        Raises:
            LabError: It is no such file.
        """
        from labapp.labs.preferences.tasks import import_task

        if path.suffix.lower() != ENDING:
            raise LabError(f"{path.name} is no task's file.", f"Open a file that ends in {ENDING}.")
        workspace = self.context.workspace
        self.frame.show_page("rank")
        self.ask(
            "import",
            lambda: once(lambda: import_task(workspace, path)),
            tr("Reading the task"),
            self.rank.open,
        )

    def ask_to_hand_in(self) -> None:
        """Ask for a folder and write one person's answers into it."""
        chosen = QFileDialog.getExistingDirectory(self, tr("The class folder, or a stick"))
        if chosen:
            self.attempt(self.hand_in, Path(chosen))

    def hand_in(self, folder: Path) -> None:
        """Write the answers of the person at work as one file.

        Raises:
            LabError: There are none, or the folder cannot be written.
        """
        from core.preferences.hand_in import hand_in

        desk = self.rank.desk
        if desk.opened is not None and desk.session is not None:
            path = hand_in(desk.opened.store, desk.session.annotator, folder)
            self.frame.messages.show_note(
                tr("Handed in as {name}; it was read back and is whole.", name=path.name)
            )

    def open_files(self, files: list[Path]) -> None:
        first = files[0]
        if self.alone or first.suffix.lower() == ENDING:
            self.open_task_file(first)
        elif first.name.endswith(ANSWERS):
            self.frame.show_page("collect")
            self.collect.open_files(files)
        elif first.suffix.lower() in PROMPTS:
            self.frame.show_page("make")
            self.make.open_files(files)
        else:
            raise LabError(
                f"{first.name} is no task, no answers and no prompts.",
                f"Open a file that ends in {ENDING}, {', '.join((*ANSWERS, *PROMPTS))}.",
            )

    def receive(self, handoff: Handoff) -> None:
        """Take a prompt into the task in the making."""
        asked = handoff.prompt or handoff.text
        if asked:
            self.frame.show_page("make")
            self.make.add_text(asked)

    def handoff(self) -> Handoff:
        from core.preferences.texts import prompt_text

        shown = self.rank.desk.shown if self.frame.page == "rank" else None
        return Handoff(prompt=prompt_text(shown.prompt)) if shown is not None else Handoff()

    def show_scene(self) -> None:
        self.current.shown()

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        self.current.shown()

    def busy(self) -> Iterator[str]:
        if "make" in self._pages and self.make.job is not None:
            yield tr("Answers are being sampled. What is done is kept, and can be gone on with.")

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            return not any(job.slot.lab == self.name for job in self.context.runner.jobs)

        def opened() -> bool:
            return quiet() and self.rank.desk.opened is not None

        def ranking() -> None:
            self.rank.prediction.close_question()
            self.rank.consent.go.click()
            for digit in (2, 1, 2):
                self.rank.press_digit(digit)

        def pairs() -> None:
            self.rank.panel.stacked.setChecked(False)
            self.rank.panel.differences.setChecked(False)
            self.rank.panel.pairs.setChecked(True)

        return [
            ("question", self.show_scene, opened),
            ("consent", lambda: self.rank.prediction.answer(1), opened),
            ("rank", ranking, opened),
            ("differences", lambda: self.rank.panel.differences.setChecked(True), opened),
            ("stacked", lambda: self.rank.panel.stacked.setChecked(True), opened),
            ("pairs", pairs, opened),
            ("make", lambda: self.frame.show_page("make"), quiet),
            ("answers", lambda: self.make.take_source("everyday"), quiet),
            ("rules", lambda: self.make.show_view(2), quiet),
            ("collect", lambda: self.frame.show_page("collect"), quiet),
            ("results", lambda: self.frame.show_page("results"), quiet),
            *((f"results-{n}", lambda n=n: self.results.show_view(n), quiet) for n in range(1, 6)),
        ]
