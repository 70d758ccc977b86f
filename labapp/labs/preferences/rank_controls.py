"""The left column of the page Rank: task, person, progress, how the answers are laid out, the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from labapp.idle import soon
from labapp.labs.preferences.tasks import SHIPPED, works_here
from labapp.theme import CONTROLS_WIDTH
from labapp.widgets.parts import Resized, button, field, flat_button, label
from labapp.widgets.picker import Choice, Picker
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.preferences.rank import RankPage

KEYS = (
    ("1 … 9", "rank, go on to the next"), ("same digit", "tie"), ("0", "take the rank away"),
    ("← → ↑ ↓", "choose an answer"), ("Alt + arrows", "move it"), ("Enter", "submit"),
    ("Ctrl Z, Y", "undo, redo, always"), ("Y  B  S", "as shown, all bad, skip"),
    ("F  C", "flag, comment"), ("D", "mark differences"),
)  # fmt: skip
PAIR_KEYS = (
    ("← →", "left or right is better"), ("↓", "equally good"), ("4", "both bad"), ("Enter", "submit"),
    ("Ctrl Z, Y", "undo, redo, always"), ("B  S  C", "all bad, skip, comment"),
)  # fmt: skip
ROOM = 84  # px for the words of an option, where two stand in a row
OPEN, SERVER = "open", "server"  # the picker's keys for a file and for a database of many


class RankControls(QWidget):
    """Asks the page to do things, and shows the desk."""

    def __init__(self, page: RankPage) -> None:
        super().__init__()
        self._page = page
        self.setFixedWidth(CONTROLS_WIDTH - 1)
        self.task = Picker(tr("Task"), self._choices)
        self.task.picked.connect(self._picked)
        self.person = label("", "")
        self.other = flat_button("account-switch", tr("Somebody else ranks"), page.change_person)
        self.out = flat_button("account-cancel", tr("Withdraw…"), page.ask_to_withdraw)
        tip = tr("Write your answers as one file, into the class folder or onto a stick")
        self.give = button(tr("Hand in…"), page.lab.ask_to_hand_in, tip=tip)
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.person, 1)
        row.addWidget(self.other)
        row.addWidget(self.out)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.count = label("", "small", wrap=True)
        self.pairs = self._check(
            "By pairs", "Show two answers at a time, until they are in order", page.set_by_pairs
        )
        self.stacked = self._check("Stacked", "One answer below the other, at full width", self._lay_out)
        self.differences = self._check(
            "Differences", "Mark what the chosen answer does not say (D)", self.mark
        )
        self.together = self._check("In step", "All answers scroll by the same share", self._together)
        self.together.setChecked(True)
        self.pace = self._check(
            "My pace", "Show how many prompts you rank in an hour; only you see it", self._pace
        )
        self._options = options = QGridLayout()
        options.setHorizontalSpacing(4)
        options.setVerticalSpacing(2)
        self._place_options()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 4, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(field(tr("Task"), self.task))
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.count)
        layout.addLayout(options)
        layout.addWidget(self.give, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._keys(), 1)

    def _check(self, title: str, tip: str, do: Any) -> QCheckBox:
        made = QCheckBox(tr(title))
        made.setToolTip(tr(tip))
        made.toggled.connect(do)
        return made

    def _place_options(self) -> None:
        """Two options in a row, or one where the text is large."""
        columns = 2 if self.fontMetrics().horizontalAdvance(self.differences.text()) < ROOM else 1
        for i, made in enumerate((self.pairs, self.stacked, self.differences, self.together, self.pace)):
            self._options.addWidget(made, i // columns, i % columns)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_options"):
            self._place_options()
            soon(self, lambda: self._fit_keys(self._holder.height()))

    def _keys(self) -> QWidget:
        self._shown_keys: tuple[tuple[str, str], ...] = ()
        self._holder = Resized(self._fit_keys)
        self.keys = QWidget(self._holder)
        self._grid = QGridLayout(self.keys)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self._fill_keys(KEYS)
        return self._holder

    def _fill_keys(self, keys: tuple[tuple[str, str], ...]) -> None:
        if keys is self._shown_keys:
            return
        self._shown_keys = keys
        while self._grid.count():
            taken = self._grid.takeAt(0)
            old = taken.widget() if taken is not None else None
            if old is not None:
                old.hide()
                old.deleteLater()
        self._grid.addWidget(label(tr("Keys"), "section"), 0, 0, 1, 2)
        for n, (key, does) in enumerate(keys, 1):
            self._grid.addWidget(label(tr(key), "heading"), n, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(label(tr(does), "small", wrap=True), n, 1)
        self.keys.setFixedWidth(CONTROLS_WIDTH - 36)
        self.keys.adjustSize()
        self._fit_keys(self._holder.height())

    def _fit_keys(self, height: int) -> None:
        wanted = self._grid.heightForWidth(self.keys.width())  # at larger text, lines wrap
        self.keys.resize(self.keys.width(), wanted)
        self.keys.setVisible(wanted <= height)

    # What is shown.

    def refresh(self) -> None:
        """Show task, person and progress."""
        desk = self._page.desk
        session = desk.session
        self.task.set_title(desk.opened.store.task.name if desk.opened else tr("Opening…"))
        names = {person.id: person.name for person in desk.people()}
        self.person.setText(names.get(session.annotator, "") if session else tr("Nobody ranks yet"))
        for made in (self.other, self.out, self.give):
            made.setEnabled(session is not None)
        self.pairs.blockSignals(True)
        self.pairs.setChecked(desk.by_pairs)
        self.pairs.blockSignals(False)
        self._fill_keys(PAIR_KEYS if desk.by_pairs else KEYS)
        self.count.setText("")
        self.bar.setMaximum(1)
        self.bar.setValue(0)
        if session is not None and session.agreed:
            counts = session.progress()
            self.bar.setMaximum(max(1, counts.total))
            self.bar.setValue(counts.done + counts.skipped)
            parts = [tr("{n:,} done", n=counts.done), tr("{n:,} to go", n=counts.left)]
            if counts.skipped:
                parts.insert(1, tr("{n:,} skipped", n=counts.skipped))
            self.count.setText(" · ".join(parts) + self._pace_text())

    def _pace_text(self) -> str:
        session = self._page.desk.session
        if not self.pace.isChecked() or session is None:
            return ""
        from core.preferences.pace import pace_of

        pace = pace_of(session)
        if pace.items_per_hour is None:
            return "\n" + tr("Your pace is known after the first prompt.")
        return "\n" + tr("{n:.0f} prompts an hour, over the last {m}", n=pace.items_per_hour, m=pace.n)

    def mark_now(self) -> None:
        """Mark differences from the card that is chosen now, where that is asked for."""
        if self.differences.isChecked():
            self.mark(True)

    def mark(self, on: bool) -> None:
        """Mark what differs from the chosen card, or take the marks away."""
        standing = self._page.desk.standing
        board = self._page.work.board
        if standing is not None and not board.mark_differences(standing.chosen if on else None):
            self._page.work.said.setText(tr("These answers are too long to be compared."))

    def _lay_out(self, stacked: bool) -> None:
        self._page.work.board.set_columns(1 if stacked else 0)

    def _together(self, on: bool) -> None:
        self._page.work.board.together = on

    def _pace(self, on: bool) -> None:
        self.refresh()

    # The task.

    def _choices(self) -> list[Choice]:
        from core.preferences.shipped import shipped_sets

        workspace = self._page.context.workspace
        made = [Choice(info.id, info.name, tr("In the workspace")) for info in works_here(workspace)]
        sets = [Choice(SHIPPED + one.name, tr(one.title), tr("Shipped")) for one in shipped_sets()]
        tip = tr("A PostgreSQL database, for many people at once")
        return [
            *made, *sets, Choice(OPEN, tr("Open a task’s file…"), tr("From elsewhere")),
            Choice(SERVER, tr("A server…"), tr("From elsewhere"), tip=tip),
        ]  # fmt: skip

    def _picked(self, key: str) -> None:
        if key == OPEN:
            self._page.lab.ask_for_task_file()
        elif key == SERVER:
            self._ask_for_server()
        else:
            self._page.open(key)

    def _ask_for_server(self) -> None:
        text = tr("postgresql://user@host/database; the password comes from the keyring or the environment")
        url, sure = QInputDialog.getText(self, tr("A task on a server"), text)
        if sure and url.strip():
            self._page.open(url.strip())

    # State.

    def save_state(self) -> dict[str, Any]:
        """How the answers are laid out."""
        return {
            "stacked": self.stacked.isChecked(), "together": self.together.isChecked(),
            "pace": self.pace.isChecked(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave."""
        for name, box in (("stacked", self.stacked), ("together", self.together), ("pace", self.pace)):
            if isinstance(state.get(name), bool):
                box.setChecked(state[name])
