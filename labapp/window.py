"""The window: rail, lineage, the lab in view, menus and jobs. It assembles; the work is elsewhere.

A lab is made when its tab is first shown. The window passes the runner and the workspace to it, carries
handoffs from lab to lab, restores what was there at the last start, and asks before it ends unfinished work.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.artifacts import Artifact, Workspace
from core.problems import LabError
from core.stages import once
from labapp import state as remembered
from labapp.handoff import Handoff
from labapp.idle import soon
from labapp.lab import Lab, LabContext
from labapp.labs import CATALOGUE, Entry
from labapp.models import Models
from labapp.runner import Done, Outcome, Runner, Slot
from labapp.theme import (
    DARK,
    FOLD_RAIL_BELOW,
    LIGHT,
    PRESENTER_SCALE,
    TEXT_SIZES,
    apply_theme,
    system_theme,
)
from labapp.widgets.job_strip import JobStrip
from labapp.widgets.lineage_bar import LineageBar
from labapp.widgets.parts import label
from labapp.widgets.rail import Rail
from labapp.words import tr

OPENED_IN = {"model": "forward", "preferences": "finetuning", "quantized": "quantization"}
"""Where a link of the lineage leads, by its artifact's kind; else to the first lab."""
MODELS = ("model", "quantized")
SIZE = (1280, 800)  # px at the first start
SMALLEST = (900, 540)  # px
KEEP_STATE_EVERY = 30_000  # ms


class Window(QMainWindow):
    """The main window on one workspace.

    Args:
        workspace: Where artifacts and work are kept.
        runner: Runs the stages of all labs; the window closes it.
        catalogue: The labs to show.
        faults_pane: Shows unexpected faults; None in tests.
        remember: Whether the state is restored and saved.
    """

    lab_shown = Signal(str)

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        catalogue: Sequence[Entry] = CATALOGUE,
        faults_pane: QWidget | None = None,
        remember: bool = True,
    ) -> None:
        super().__init__()
        self.workspace, self.runner = workspace, runner
        self.models = Models(workspace.root)
        self._catalogue = {entry.name: entry for entry in catalogue}
        self._remember = remember
        self.state: dict[str, Any] = remembered.load_state(workspace.root) if remember else {}
        self.labs: dict[str, Lab] = {}
        self._shortcuts = {e.name: f"Ctrl+{(i + 1) % 10}" for i, e in enumerate(catalogue) if i < 10}
        self._presenting = self._alone = False
        self.setWindowTitle(tr("LLM Lab"))
        self.setMinimumSize(*SMALLEST)
        self.resize(*SIZE)
        self.setAcceptDrops(True)
        self._build_middle(faults_pane)
        self._build_menus()
        self._restore()
        self._saver = QTimer(self)
        self._saver.timeout.connect(self._save)
        self._saver.start(KEEP_STATE_EVERY)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_theme_changed)

    # Assembly.

    def _build_middle(self, faults_pane: QWidget | None) -> None:
        self.rail = Rail(list(self._catalogue.values()), self._shortcuts)
        self.rail.chosen.connect(self.show_lab)
        self.lineage = LineageBar()
        self.lineage.chosen.connect(self._open_artifact)
        self.stack = QStackedWidget()
        body = QWidget()
        row = QHBoxLayout(body)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addWidget(self.stack, 1)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.lineage)
        column.addWidget(body, 1)
        if faults_pane is not None:
            column.addWidget(faults_pane)
        self.setCentralWidget(middle)
        self.job_strip = JobStrip(self.runner)
        self.statusBar().addWidget(self.job_strip, 1)
        offline = label(tr("offline"), "small")
        offline.setContentsMargins(0, 0, 12, 0)
        offline.setToolTip(tr("LLM Lab opens no connection to any network"))
        self.statusBar().addPermanentWidget(offline)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().setMinimumHeight(34)  # with and without jobs: nothing above it moves
        soon(self, self._show_newest_chain)

    def _build_menus(self) -> None:
        file = self.menuBar().addMenu(tr("&File"))
        self._add(file, tr("&Open…"), self.open_dialog, QKeySequence.StandardKey.Open)
        self._recent_menu = file.addMenu(tr("Open &recent"))
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        self._export_menu = file.addMenu(tr("&Export picture"))
        self._export_menu.aboutToShow.connect(self._fill_export)
        self._open_in_menu = file.addMenu(tr("Open &in…"))
        self._open_in_menu.aboutToShow.connect(self._fill_open_in)
        file.addSeparator()
        self._add(file, tr("Show the &workspace folder"), self.show_workspace)
        file.addSeparator()
        self._add(file, tr("&Quit"), self.close, QKeySequence.StandardKey.Quit)
        self._build_view_menu()
        help_menu = self.menuBar().addMenu(tr("&Help"))
        self._add(help_menu, tr("&Keyboard shortcuts"), self.show_shortcuts, QKeySequence("F1"))
        self._add(help_menu, tr("&Check this installation"), self.show_doctor)
        self._add(help_menu, tr("&About LLM Lab"), self.show_about)

    def _build_view_menu(self) -> None:
        view = self.menuBar().addMenu(tr("&View"))
        self._themes = QActionGroup(self)
        for name, title in (
            ("light", tr("&Light")),
            ("dark", tr("&Dark")),
            ("system", tr("Like the &system")),
        ):
            action = self._add(view, title, lambda name=name: self.set_theme(name))
            action.setCheckable(True)
            action.setData(name)
            self._themes.addAction(action)
        view.addSeparator()
        self._sizes = QActionGroup(self)
        for size, title in zip(
            TEXT_SIZES, (tr("&Normal text"), tr("L&arger text"), tr("Lar&gest text")), strict=True
        ):
            action = self._add(view, title, lambda size=size: self.set_text_size(size))
            action.setCheckable(True)
            action.setData(size)
            self._sizes.addAction(action)
        view.addSeparator()
        self._presenter = self._add(view, tr("&Presenter mode"), self.toggle_presenter, QKeySequence("F11"))
        self._presenter.setCheckable(True)
        self._motion = self._add(view, tr("&Reduce motion"), self._save)
        self._motion.setCheckable(True)
        view.addSeparator()
        self._add(view, tr("Next page"), lambda: self._turn_page(1), QKeySequence("Ctrl+PgDown"))
        self._add(view, tr("Previous page"), lambda: self._turn_page(-1), QKeySequence("Ctrl+PgUp"))
        self._lab_actions = []
        for entry in self._catalogue.values():
            if entry.name in self._shortcuts:
                key = QKeySequence(self._shortcuts[entry.name])
                action = self._add(view, tr(entry.title), lambda name=entry.name: self.show_lab(name), key)
                self._lab_actions.append(action)

    def _add(self, menu: QMenu, text: str, do: Any, key: Any = None) -> QAction:
        action = QAction(text, self)
        if key is not None:
            action.setShortcut(key)
        action.triggered.connect(lambda _checked=False: do())
        menu.addAction(action)
        self.addAction(action)  # shortcuts go on working while presenter mode hides the menus
        return action

    # Labs.

    def show_lab(self, name: str) -> Lab | None:
        """Bring a lab to the front; it is made at the first time."""
        if name not in self._catalogue:
            return None
        lab = self.labs.get(name)
        if lab is None:
            lab = self._catalogue[name].load()(self._context())
            self.labs[name] = lab
            self.stack.addWidget(lab)
            saved = self.state.get("labs", {})
            saved = saved.get(name) if isinstance(saved, dict) else None
            if isinstance(saved, dict) and saved:
                lab.attempt(lab.restore_state, saved)
            else:
                lab.attempt(lab.show_scene)
        self.stack.setCurrentWidget(lab)
        self.rail.show_chosen(name)
        self.setWindowTitle(tr("{lab} – LLM Lab", lab=tr(self._catalogue[name].title)))
        lab.take_focus()
        self.lab_shown.emit(name)
        return lab

    def show_alone(self, name: str) -> None:
        """Show one lab without rail, lineage and ways to others: for somebody who was given a file."""
        self._alone = True
        lab = self.show_lab(name)
        for part in (self.rail, self.lineage):
            part.hide()
        for action in (*self._lab_actions, self._open_in_menu.menuAction()):
            action.setVisible(False)
            action.setEnabled(False)
        if lab is not None:
            lab.stand_alone()

    @property
    def lab(self) -> Lab | None:
        """The lab in view."""
        shown = self.stack.currentWidget()
        return shown if isinstance(shown, Lab) else None

    def _context(self) -> LabContext:
        return LabContext(
            runner=self.runner,
            workspace=self.workspace,
            open_in=self.open_in,
            labs_for=self.labs_for,
            open_dialog=self.open_dialog,
            models=self.models,
            published=self.published,
            reduced_motion=self._motion.isChecked(),
        )

    def labs_for(self, handoff: Handoff) -> list[tuple[str, str]]:
        """The (name, title) of the labs that can open all that a handoff carries."""
        return [
            (e.name, tr(e.title))
            for e in self._catalogue.values()
            if handoff.carries and handoff.carries <= e.accepts
        ]

    def open_in(self, name: str, handoff: Handoff) -> None:
        """Open a handoff in a lab."""
        lab = self.show_lab(name)
        if lab is not None:
            lab.attempt(lab.receive, handoff)

    def published(self, artifact: Artifact) -> None:
        """A lab has made an artifact: the chain and the pickers follow."""
        self._show_chain(artifact.id)
        for lab in self.labs.values():
            lab.artifact_changed()

    def _show_newest_chain(self) -> None:
        """Find the newest artifact's chain on a worker: a thousand artifacts take most of a second."""
        workspace = self.workspace

        def find() -> dict[str, Artifact]:
            newest = workspace.artifacts()
            return workspace.chain(newest[0].id) if newest else {}

        def show(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self.lineage.show_chain(outcome.finished.result)

        self.runner.start(
            Slot("house", "lineage"),
            lambda: once(find),
            title=tr("Looking into the workspace"),
            on_events=lambda events: None,
            on_end=show,
        )

    def _show_chain(self, artifact_id: str) -> None:
        self.lineage.show_chain(self.workspace.chain(artifact_id))

    def _open_artifact(self, artifact_id: str) -> None:
        kind = self.workspace.artifact(artifact_id).kind
        lab = OPENED_IN.get(kind, "tokenizer")
        whole = Handoff(model_id=artifact_id) if kind in MODELS else Handoff(artifact_id=artifact_id)
        if lab in self._catalogue:
            self.open_in(lab, whole)

    # Files.

    def open_dialog(self) -> None:
        """File > Open."""
        files, _ = QFileDialog.getOpenFileNames(self, tr("Open text or tokenizer files"), self._folder())
        self.open_files([Path(name) for name in files])

    def open_files(self, files: Sequence[Path]) -> None:
        """Open files in the lab in view, as if they had been dropped on it."""
        lab = self.lab or self.show_lab(next(iter(self._catalogue)))
        if lab is None or not files:
            return
        for file in files:
            remembered.add_recent(self.state, file)
        lab.attempt(lab.open_files, list(files))

    def _folder(self) -> str:
        files = remembered.recent(self.state)
        return str(Path(files[0]).parent) if files else str(Path.home())

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        files = remembered.recent(self.state)
        for name in files:
            action = self._recent_menu.addAction(name.replace("&", "&&"))
            action.triggered.connect(lambda _=False, name=name: self.open_files([Path(name)]))
        if not files:
            self._recent_menu.addAction(tr("Nothing opened yet")).setEnabled(False)

    def _fill_export(self) -> None:
        from labapp.widgets.export import add_picture_actions

        self._export_menu.clear()
        pictures = self.lab.pictures() if self.lab else {}
        for title, widget in pictures.items():
            add_picture_actions(self._export_menu.addMenu(title), widget, title)
        if not pictures:
            self._export_menu.addAction(tr("Nothing to export here")).setEnabled(False)

    def _fill_open_in(self) -> None:
        self._open_in_menu.clear()
        handoff = self.lab.handoff() if self.lab else Handoff()
        here = self.lab.name if self.lab else ""
        others = [(n, t) for n, t in self.labs_for(handoff) if n != here]
        for name, title in others:
            action = self._open_in_menu.addAction(title)
            action.triggered.connect(lambda _=False, name=name: self.open_in(name, handoff))
        if not others:
            self._open_in_menu.addAction(tr("No other lab opens this yet")).setEnabled(False)

    def show_workspace(self) -> None:
        """Open the workspace's folder in the file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.workspace.root)))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self.open_files(files)

    # View.

    def set_theme(self, name: str) -> None:
        """Use "light", "dark" or "system" from now on."""
        self.state["theme"] = name
        self._apply_theme()

    def set_text_size(self, size: float) -> None:
        """Scale all text."""
        self.state["text_size"] = size
        self._apply_theme()

    def _apply_theme(self) -> None:
        name = self.state.get("theme", "light" if self._presenting else "system")
        theme = {"light": LIGHT, "dark": DARK}.get(str(name)) or system_theme()
        size = self.state.get("text_size", 1.0)
        size = size if size in TEXT_SIZES else 1.0
        for action in self._themes.actions():
            action.setChecked(action.data() == self.state.get("theme", "system"))
        for action in self._sizes.actions():
            action.setChecked(action.data() == size)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, theme, size * (PRESENTER_SCALE if self._presenting else 1.0))

    def _system_theme_changed(self) -> None:
        if self.state.get("theme", "system") == "system":
            self._apply_theme()

    def toggle_presenter(self) -> None:
        """Larger type, hidden chrome, light unless a theme was chosen; F11 or Escape leaves it."""
        self._presenting = not self._presenting
        self._presenter.setChecked(self._presenting)
        around = () if self._alone else (self.rail, self.lineage)
        for part in (*around, self.menuBar(), self.statusBar()):
            part.setVisible(not self._presenting)
        self._apply_theme()
        if self._presenting:
            self._was_maximized = self.isMaximized()
            self.showFullScreen()
        elif self._was_maximized:
            self.showMaximized()
        else:
            self.showNormal()

    def _turn_page(self, by: int) -> None:
        if self.lab is not None:
            self.lab.frame.turn_page(by)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.rail.set_narrow(self.width() < FOLD_RAIL_BELOW)

    # Help.

    def show_shortcuts(self) -> None:
        """Help > Keyboard shortcuts."""
        from labapp.widgets.sheets import show_shortcuts

        show_shortcuts(self, self.actions(), self.lab)

    def show_about(self) -> None:
        """Help > About."""
        from labapp.widgets.sheets import show_about

        show_about(self)

    def show_doctor(self) -> None:
        """Help > Check this installation."""
        from labapp.widgets.doctor_sheet import DoctorSheet

        DoctorSheet(self, self.workspace.root, self.runner).show()

    # State and end.

    def _restore(self) -> None:
        window = self.state.get("window", {})
        window = window if isinstance(window, dict) else {}
        geometry = window.get("geometry")
        if isinstance(geometry, str):
            self.restoreGeometry(QByteArray.fromHex(geometry.encode("ascii", "replace")))
        self._motion.setChecked(bool(self.state.get("reduce_motion")))
        self._apply_theme()

    def _save(self) -> None:
        if not self._remember:
            return
        labs = self.state.get("labs")
        labs = dict(labs) if isinstance(labs, dict) else {}
        labs.update({name: lab.save_state() for name, lab in self.labs.items()})
        self.state["labs"] = labs
        self.state["reduce_motion"] = self._motion.isChecked()
        self.state["window"] = {
            "geometry": bytes(self.saveGeometry().toHex().data()).decode("ascii"),
            "lab": self.lab.name if self.lab else "",
        }
        try:
            remembered.save_state(self.workspace.root, self.state)
        except LabError as error:
            self._saver.stop()
            if self.lab is not None:
                self.lab.frame.messages.show_problem(error)

    def first_lab(self) -> str:
        """The lab to show at the start: the one of the last time, or the first."""
        window = self.state.get("window", {})
        name = window.get("lab") if isinstance(window, dict) else None
        return name if name in self._catalogue else next(iter(self._catalogue))

    def closeEvent(self, event: QCloseEvent) -> None:
        unfinished = [sentence for lab in self.labs.values() for sentence in lab.busy()]
        if unfinished and not self._may_end(unfinished):
            event.ignore()
            return
        self._saver.stop()
        self._save()
        self.runner.close()
        event.accept()

    def _may_end(self, unfinished: list[str]) -> bool:
        box = QMessageBox(self)
        box.setWindowTitle(tr("Close LLM Lab?"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText("\n".join(unfinished))
        box.setStandardButtons(QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel)
        return box.exec() == QMessageBox.StandardButton.Close
