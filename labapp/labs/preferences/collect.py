"""Collect what thirty people hand in: a folder is watched, what is new is taken in, nothing is counted twice.

What to notice: the count goes up by itself, a half-copied file waits, and the rankings are in the results at
once. Stages: `core.preferences.hand_in.watch_folder`, `core.preferences.merging.merge_into`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog, QProgressBar, QSpinBox, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import Finished, once
from labapp.labs.preferences.notice import Notice
from labapp.pages import PicturePage
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, controls, field, inset, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.hand_in import HandedIn
    from core.preferences.merging import Merged, MergeReport
    from labapp.labs.preferences import PreferencesLab

EVERY = 2_000  # ms between two looks into the folder


class CollectPage(PicturePage):
    """The folder on the left, who has handed in in the middle, what the files gave at the right."""

    def __init__(self, lab: PreferencesLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.folder: Path | None = None
        self.handed: dict[Path, HandedIn] = {}
        self.merged: dict[Path, Merged] = {}
        self._seen: dict[Path, tuple[int, int]] = {}
        self._task = ""
        self._same: dict[str, str] = {}  # id of a person who was joined to another one, to that one
        self._looking = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._build()

    def _build(self) -> None:
        self.notice = Notice(self.take_focus)
        self.task = label("", "heading", wrap=True)
        self.place = label("", "secondary", wrap=True)
        tip = tr("The class folder, or a stick: files that are handed in there are taken in")
        self.choose = button(tr("Watch a folder…"), self.ask_for_folder, tip=tip, role="primary")
        self.stop = button(tr("Stop watching"), self.stop_watching, tip=tr("What was taken in stays"))
        tip = tr("Databases or handed-in files from other computers")
        self.files = button(tr("Merge files…"), self.ask_for_files, tip=tip)
        self.join = button(
            tr("Same person…"), self.ask_to_join, tip=tr("Two rows are one person who began twice")
        )
        self.expected = QSpinBox()
        self.expected.setRange(1, 1000)
        self.expected.setValue(30)
        inset(self.expected)
        self.expected.valueChanged.connect(lambda _: self._show())
        tip = tr("How many people are to hand in")
        self.controls = controls(
            self.task,
            self.place,
            self.choose,
            self.stop,
            field(tr("People"), self.expected, tip),
            self.files,
            self.join,
        )
        self.count = label("", "title")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("How many have handed in"))
        self.table = Table(
            tr("Who has handed in"),
            [
                Column(tr("Name"), stretch=True),
                Column(tr("Answers"), number=True),
                Column(tr("Of"), number=True),
                Column(tr("New"), number=True),
                Column(tr("State")),
            ],
        )
        self.table.setToolTip(tr("One row for each file in the folder; Ctrl+C copies them"))
        self.agreement = label("", "", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for part in (self.notice, self.count, self.bar):
            layout.addWidget(part)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.agreement)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        self.report = label("", "secondary", wrap=True)
        column.addWidget(label(tr("How it works"), "heading"))
        column.addWidget(label(tr(HOW), "secondary", wrap=True))
        column.addWidget(self.report)
        column.addStretch(1)

    # Watching.

    def shown(self) -> None:
        self.lab.rank.shown()
        self._show()

    def ask_for_folder(self) -> None:
        """Ask for the folder to watch."""
        chosen = QFileDialog.getExistingDirectory(self.lab.window(), tr("Watch a folder"))
        if chosen:
            self.watch(Path(chosen))

    def watch(self, folder: Path) -> None:
        """Watch a folder for what is handed in to the task that is open."""
        self.folder = folder
        self._seen, self.handed, self.merged = {}, {}, {}
        self._timer.start(EVERY)
        self.look()
        self._show()

    def stop_watching(self) -> None:
        """Look no more; what was taken in stays."""
        self._timer.stop()
        self.folder = None
        self._show()

    def task_opened(self, key: str) -> None:
        """Another task is open: what was handed in belongs to the one before."""
        if self._task and key != self._task:
            self.stop_watching()
            self.handed, self.merged = {}, {}
        self._task = key
        self._show()

    def look(self) -> None:
        """Look into the folder once, on a worker."""
        from core.preferences.hand_in import watch_folder

        folder, seen = self.folder, dict(self._seen)
        if folder is None or self._looking or self.lab.rank.desk.opened is None:
            return
        self._looking = True
        self.context.runner.start(
            Slot(self.lab.name, "watch"), lambda: once(lambda: watch_folder(folder, seen)),
            title=tr("Looking into the folder"), on_events=lambda events: None, on_end=self._looked,
        )  # fmt: skip

    def _looked(self, outcome: Outcome) -> None:
        self._looking = False
        if isinstance(outcome, Failed) and isinstance(outcome.error, LabError):
            self.stop_watching()  # said once, not every two seconds
        self.lab.show_failure(outcome)
        if not isinstance(outcome, Done):
            return
        fresh: tuple[HandedIn, ...] = outcome.finished.result
        for one in fresh:
            self._seen[one.path] = one.stamp
            self.handed[one.path] = one
        opened = self.lab.rank.desk.opened
        if opened is not None:
            mine = [
                one.path for one in fresh if not one.fault and one.task_sha256 == opened.store.task.sha256
            ]
            if mine:
                self.merge(mine)
        if fresh:
            self._show()

    def ask_for_files(self) -> None:
        """Ask for databases or files and take them in."""
        names, _ = QFileDialog.getOpenFileNames(
            self.lab.window(), tr("Merge files"), "", "*.db *.answers.jsonl"
        )
        if names:
            self.merge([Path(name) for name in names])

    def open_files(self, files: list[Path]) -> None:
        self.merge(files)

    def merge(self, paths: list[Path]) -> None:
        """Take files into the task that is open."""
        from core.preferences.merging import merge_into

        opened = self.lab.rank.desk.opened
        if opened is not None:
            store = opened.store
            self.context.runner.start(
                Slot(self.lab.name, f"merge {paths[0].name}"), lambda: merge_into(store, paths),
                title=tr("Taking in {n:,} files", n=len(paths)), on_events=lambda events: None,
                on_end=self._merged,
            )  # fmt: skip

    def _merged(self, outcome: Outcome) -> None:
        self.lab.show_failure(outcome)
        if not isinstance(outcome, Done) or not isinstance(outcome.finished, Finished):
            return
        report: MergeReport = outcome.finished.result
        for one in report.files:
            self.merged[one.path] = one
        texts = [tr("New answers and changes: {n:,}.", n=report.new)]
        texts += [f"{one.path.name}: {one.fault}" for one in report.faults]
        if report.conflicts:
            text = tr("Given twice without knowing of each other: {n:,}; the later one counts.")
            texts.append(text.format(n=len(report.conflicts)))
        self.report.setText("\n".join(texts))
        self._show()
        self._measure()

    def _measure(self) -> None:
        from labapp.labs.preferences.reading import agreement_now

        opened = self.lab.rank.desk.opened
        if opened is not None:
            store = opened.store
            self.lab.ask(
                "agreement", lambda: agreement_now(store), tr("Measuring agreement"), self.agreement.setText
            )

    def ask_to_join(self) -> None:
        """Ask whether two people, chosen in the table, are the same one."""
        chosen = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        files = self._sorted()
        if len(chosen) != 2 or max(chosen) >= len(files):
            self.notice.say(
                tr("Choose two rows of the same person in the table: a click, and one with Ctrl.")
            )
            return
        one, other = (files[row][1] for row in chosen)
        names = [f"{found.name} ({found.annotator[:4]})" for found in (one, other)]
        text = tr("Are {names} the same person? Their answers then count as one’s.", names=" = ".join(names))
        self.notice.say(text, tr("Join them"), lambda: self._join(one.annotator, other.annotator))

    def _join(self, one: str, other: str) -> None:
        opened = self.lab.rank.desk.opened
        if opened is not None:
            self.lab.attempt(opened.store.join, one, other)
            self._same = {
                person.id: person.joined_to for person in opened.store.annotators() if person.joined_to
            }
            self._show()
            self._measure()

    # What is shown.

    def _sorted(self) -> list[tuple[Path, HandedIn]]:
        return sorted(self.handed.items(), key=lambda pair: (pair[1].name.casefold(), pair[0]))

    def _state(self, one: HandedIn) -> str:
        opened = self.lab.rank.desk.opened
        if one.fault:
            return one.fault
        if opened is not None and one.task_sha256 != opened.store.task.sha256:
            return tr("another task")
        merged = self.merged.get(one.path)
        if merged is not None and merged.fault:
            return merged.fault
        return tr("complete") if one.complete else tr("begun")

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for path, one in self._sorted():
            merged = self.merged.get(path)
            rows.append((one.name or path.name, f"{one.answers:,}", f"{one.items:,}",
                         f"{merged.new:,}" if merged else "–", self._state(one)))  # fmt: skip
        return rows

    @property
    def counted(self) -> int:
        """How many people handed in something for this task that was taken in."""
        taken = {one.annotator for path, one in self.handed.items() if path in self.merged and not one.fault}
        return len({self._same.get(id, id) for id in taken})

    def _show(self) -> None:
        opened = self.lab.rank.desk.opened
        watching = self.folder is not None
        self.task.setText(opened.store.task.name if opened else tr("No task is open"))
        self.place.setText(str(self.folder) if watching else tr("No folder is watched."))
        self.stop.setEnabled(watching)
        for made in (self.choose, self.files):
            made.setEnabled(opened is not None)
        all_ = self.expected.value()
        self.count.setText(tr("{n:,} of {all:,} have handed in", n=self.counted, all=all_))
        self.bar.setMaximum(all_)
        self.bar.setValue(min(self.counted, all_))
        self.table.set_rows(self._rows())

    def numbers(self) -> Numbers:
        return tuple(column.title for column in self.table.rows.columns), self._rows()

    def summary(self) -> str:
        return self.count.text()

    def take_focus(self) -> None:
        self.choose.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Who has handed in"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"expected": self.expected.value()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if type(state.get("expected")) is int:
            self.expected.setValue(min(max(1, state["expected"]), 1000))


HOW = (
    "Everybody presses “Hand in…” and chooses the folder that is watched here. A file appears whole, holds "
    "one person’s answers, and finds its task by content. Handing in again replaces it; what is known "
    "already is not counted twice."
)
