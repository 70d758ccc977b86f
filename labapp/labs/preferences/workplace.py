"""The middle of the page Rank: the prompt, its cards, what is said of the chosen one, and the buttons.

It shows and reports; what happens is decided in `rank.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.preferences.texts import Said, prompt_text
from labapp.labs.preferences.cards import READING_SCALE, Board
from labapp.labs.preferences.standing import Standing
from labapp.widgets.parts import button, flat_button, label
from labapp.widgets.prose import Prose
from labapp.words import tr

FLASH = 1_600  # ms that what was saved stands out
PROMPT_LINES = 3  # lines of a prompt before it scrolls
CARD_HEIGHT = 96  # px that a card has at least


class Workplace(QWidget):
    """Reports what is clicked; `board` has the keyboard.

    Args:
        on_key: Told each key of the board.
        on_drop: Told where a card was dropped.
        fill_skip: Fills the menu of reasons.
    """

    submitted = Signal()
    flagged = Signal(str)
    rated = Signal(int)
    commented = Signal(str)
    comment_left = Signal()
    touched = Signal()

    def __init__(
        self,
        on_key: Callable[[QKeyEvent], bool],
        on_drop: Callable[[str, int], object],
        fill_skip: Callable[[QMenu], object],
    ) -> None:
        super().__init__()
        self._fill_skip = fill_skip
        self._quiet = "good"  # how what is said of saving looks when it does not stand out
        self.place = label("", "small")
        self.prompt = Prose(name=tr("Prompt"))
        self.prompt.setFrameShape(QFrame.Shape.NoFrame)
        self.prompt.viewport().setAutoFillBackground(False)
        self.prompt.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.board = Board(on_key, on_drop)
        self.scroller = QScrollArea()
        self.scroller.setWidgetResizable(True)
        self.scroller.setFrameShape(QFrame.Shape.NoFrame)
        self.scroller.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.scroller.viewport().setAutoFillBackground(False)
        self.scroller.setWidget(self.board)
        self.board.setAutoFillBackground(False)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._calm)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._top_row())
        layout.addWidget(self.prompt)
        layout.addWidget(self.scroller, 1)
        layout.addLayout(self._about_row())
        layout.addLayout(self._pairs_row())
        layout.addLayout(self._action_row())

    def _top_row(self) -> QHBoxLayout:
        self.saved = label("", "good")
        row = QHBoxLayout()
        row.addWidget(self.place, 1)
        row.addWidget(self.saved)
        return row

    def _about_row(self) -> QHBoxLayout:
        self._about = QHBoxLayout()
        self._about.setSpacing(6)
        self.about_name = label("", "small")
        self._flag_row = QHBoxLayout()
        self._flag_row.setSpacing(4)
        self._rate_row = QHBoxLayout()
        self._rate_row.setSpacing(2)
        self.flags: dict[str, QPushButton] = {}
        self.ratings: list[QPushButton] = []
        self.comment = QLineEdit()
        self.comment.setPlaceholderText(tr("Comment (C)"))
        self.comment.setAccessibleName(tr("Comment on this prompt and its answers"))
        self.comment.setToolTip(tr("C goes here, Enter or Escape back to the answers"))
        self.comment.textEdited.connect(self.commented)
        self.comment.installEventFilter(self)
        self._about.addWidget(self.about_name)
        self._about.addLayout(self._flag_row)
        self._about.addLayout(self._rate_row)
        self._about.addWidget(self.comment, 1)
        return self._about

    def _pairs_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.verdicts: dict[str, QPushButton] = {}
        for verdict, title, tip in (
            ("left", "← Left", "Left is better (left arrow, or 1)"),
            ("right", "Right →", "Right is better (right arrow, or 2)"),
            ("tie", "Tie", "They are equally good (down arrow, or 3)"),
            ("both_bad", "Both bad", "Neither is acceptable (4)"),
        ):
            self.verdicts[verdict] = made = button(tr(title), tip=tr(tip))
            made.hide()
            row.addWidget(made)
        row.addStretch(1)
        return row

    def _action_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        tip = tr("Save this ranking and go on (Enter)")
        self.submit = button(tr("Submit ⏎"), self.submitted.emit, tip=tip, role="primary")
        tip = tr("Say that the order shown is the right one (Y)")
        self.keep = button(tr("As shown"), tip=tip)
        self.all_bad = button(
            tr("All bad"), tip=tr("None of the answers is acceptable (B); a ranking still counts")
        )
        for made in (self.keep, self.all_bad):
            made.setCheckable(True)
        self.skip = button(
            tr("Skip…"), self.open_skip, tip=tr("Pass over with a reason, or flag the prompt (S)")
        )
        self.undo = flat_button("undo", tr("Take back the last step, also after saving (Ctrl+Z)"))
        self.redo = flat_button("redo", tr("Do it again (Ctrl+Y)"))
        self.skip_menu = QMenu(self)
        self.said = label("", "small")
        self.said.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        for one in (self.submit, self.keep, self.all_bad, self.skip, self.undo, self.redo):
            row.addWidget(one)
        row.addWidget(self.said, 1)
        return row

    # What is shown

    def show_item(self, prompt: Said, outputs: Sequence[tuple[str, str]]) -> None:
        """Show another item."""
        font = QFont(QApplication.font())
        font.setPixelSize(round(font.pixelSize() * READING_SCALE))
        font.setBold(True)
        self.prompt.setFont(font)
        self.prompt.show_markdown(prompt_text(prompt))
        self.board.show_outputs(outputs)
        for card in self.board.cards.values():
            card.setMinimumHeight(CARD_HEIGHT)
            card.prose.viewport().installEventFilter(self)
        self.fit_prompt()

    def fit_prompt(self) -> None:
        """Give the prompt the height of its text, up to a few lines; beyond, it scrolls."""
        document = self.prompt.document()
        document.setDocumentMargin(2)
        document.setTextWidth(max(100, self.width() - 20))
        most = PROMPT_LINES * self.prompt.fontMetrics().lineSpacing() + 8
        self.prompt.setFixedHeight(min(most, round(document.size().height()) + 4))

    def set_flags(self, flags: Sequence[str], ratings: bool) -> None:
        """Offer the flags of a task, and its rating."""
        for old in [*self.flags.values(), *self.ratings]:
            old.hide()
            old.deleteLater()
        self.flags, self.ratings = {}, []
        for flag in flags:
            tip = tr("Flag the chosen answer (F goes to the flags, Space sets one)")
            made = button(flag.replace("&", "&&"), partial(self.flagged.emit, flag), tip=tip, role="sample")
            made.setCheckable(True)
            made.installEventFilter(self)
            self.flags[flag] = made
            self._flag_row.addWidget(made)
        for n in range(1, 8) if ratings else ():
            tip = tr("Rate the chosen answer from 1, bad, to 7, excellent (Shift and a digit)")
            made = button(str(n), partial(self.rated.emit, n), tip=tip, role="sample")
            made.setAccessibleName(tr("Rating {n} of 7", n=n))
            made.setCheckable(True)
            made.setFixedWidth(26)
            self.ratings.append(made)
            self._rate_row.addWidget(made)

    def show_standing(self, standing: Standing, letter: str, pair: Sequence[str], by_pairs: bool) -> None:
        """Show ranks, choice and marks."""
        notes = {id: self._notes(standing, id) for id in self.board.cards}
        self.board.show_standing(standing, notes, pair)
        self.about_name.setText(tr("About {letter}:", letter=letter))
        here = standing.flags.get(standing.chosen, ())
        for flag, made in self.flags.items():
            made.setChecked(flag in here)
        for n, made in enumerate(self.ratings, 1):
            made.setChecked(standing.ratings.get(standing.chosen) == n)
        if self.comment.text() != standing.comment:
            self.comment.setText(standing.comment)
        self.keep.setChecked(standing.as_shown)
        self.keep.setVisible(not by_pairs)
        self.all_bad.setChecked(standing.all_bad)
        for made in self.verdicts.values():
            made.setVisible(bool(pair))
        card = self.board.cards.get(standing.chosen)
        if card is not None and not pair:
            self.scroller.ensureWidgetVisible(card, 0, 0)

    def _notes(self, standing: Standing, id: str) -> str:
        parts = list(standing.flags.get(id, ()))
        if id in standing.ratings:
            parts.append(tr("{n} of 7", n=standing.ratings[id]))
        return " · ".join(parts)

    def show_saved(self, text: str, flash: bool, sound: bool = True) -> None:
        """Say when it was saved, and what; what was just saved stands out for a moment."""
        self.saved.setText(text)
        self._quiet = "good" if sound else "warning"
        if self.saved.objectName() not in ("message", self._quiet):
            self._calm()
        if flash:
            self.saved.setObjectName("message")
            self.saved.setMargin(4)
            self._polish()
            self._timer.start(FLASH)

    def _calm(self) -> None:
        self.saved.setObjectName(self._quiet)
        self.saved.setMargin(0)
        self._polish()

    def _polish(self) -> None:
        self.saved.style().unpolish(self.saved)
        self.saved.style().polish(self.saved)

    def fill_skip_menu(self) -> None:
        """List what can be done with the item in view besides ranking."""
        self.skip_menu.clear()
        self._fill_skip(self.skip_menu)

    def open_skip(self) -> None:
        """Open the reasons to skip."""
        self.fill_skip_menu()
        self.skip_menu.popup(self.skip.mapToGlobal(self.skip.rect().topLeft()))

    # Qt

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in (QEvent.Type.Wheel, QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress):
            self.touched.emit()
        if isinstance(event, QKeyEvent) and kind == QEvent.Type.KeyPress:
            leaving = event.key() == Qt.Key.Key_Escape
            if watched is self.comment:
                leaving = leaving or event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if leaving:
                self.comment_left.emit()
                self.board.setFocus()
                return True
        return False

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self.fit_prompt()
