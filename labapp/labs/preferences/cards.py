"""The cards of an item: an output each, with its rank, read side by side or one below the other.

The outputs are foreign text: they are shown by `Prose` alone. Cards take no keyboard; the board does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QEvent, QMimeData, QObject, QPoint, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDrag,
    QDragEnterEvent,
    QDropEvent,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QApplication, QFrame, QGridLayout, QHBoxLayout, QTextEdit, QVBoxLayout, QWidget

from labapp.labs.preferences.comparing import differences
from labapp.labs.preferences.standing import Standing
from labapp.theme import CATEGORIES, mix, theme_of
from labapp.widgets.parts import label
from labapp.widgets.prose import Prose
from labapp.words import tr

READING_SCALE = 1.2  # times the app's text: an arm's length away
GAP = 10  # px between cards
SHOWN_AT_MOST = 1 << 14  # characters of an output on a card: laid out at once; the rest is said to be there
LETTERS = "ABCDEFGHI"
_DRAGGED = "application/x-llmlab-card"
RANKS = (2, 0, 1, 3, 5, 6, 7, 4, 1)  # categories of the ranks 1 to 9: green first; the digit says it, too


def _units(text: str) -> int:
    """Length as Qt counts it: a character beyond the first 65,536 is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Badge(QWidget):
    """The rank of a card, in its corner; a dash while it has none."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(34, 30)
        self.rank = 0

    def show_rank(self, rank: int) -> None:
        """Show a rank, or 0 for none."""
        self.rank = rank
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        color = QColor(CATEGORIES[RANKS[self.rank - 1]]) if self.rank else QColor("#6b7688")
        color = mix(color, QColor("#000000"), 0.8)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRoundedRect(self.rect(), 5, 5)
            font = QFont(self.font())
            font.setBold(True)
            font.setPixelSize(round(font.pixelSize() * 1.3))
            painter.setFont(font)
            painter.setPen(QColor("#ffffff"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, str(self.rank) if self.rank else "–")


class Card(QFrame):
    """One output: clicked it is chosen, dragged by its head it is moved."""

    clicked = Signal(str)

    def __init__(self, id: str, letter: str, text: str) -> None:
        super().__init__()
        self.id, self.letter = id, letter
        self.chosen = False
        self._pressed: QPoint | None = None
        self.badge = Badge()
        self.name = label(letter, "heading")
        self.notes = label("", "small")
        self.prose = Prose(name=tr("Answer {letter}", letter=letter))
        self.prose.setFrameShape(QFrame.Shape.NoFrame)
        self.prose.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.prose.viewport().setAutoFillBackground(False)
        font = QFont(self.prose.font())
        font.setPixelSize(round(QApplication.font().pixelSize() * READING_SCALE))
        self.prose.setFont(font)
        self.prose.show_markdown(text[:SHOWN_AT_MOST])
        self.cut = ""
        if len(text) > SHOWN_AT_MOST:
            self.cut = tr("first {n:,} of {all:,} characters", n=SHOWN_AT_MOST, all=len(text))
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.badge)
        head.addWidget(self.name)
        head.addWidget(self.notes, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 6)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.prose, 1)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.prose.viewport().installEventFilter(self)

    def show_state(self, rank: int, chosen: bool, notes: str) -> None:
        """Show the rank, whether the card is the chosen one, and what is said of it."""
        self.badge.show_rank(rank)
        notes = " · ".join(part for part in (self.cut, notes) if part)
        self.notes.setText(notes)
        said = tr("rank {n}", n=rank) if rank else tr("no rank")
        self.setAccessibleName(
            tr("Answer {letter}, {said} {notes}", letter=self.letter, said=said, notes=notes)
        )
        if chosen != self.chosen:
            self.chosen = chosen
            self.update()

    def mark(self, places: Sequence[tuple[int, int]]) -> None:
        """Mark what differs: a background, and a line below for those who see no color."""
        theme = theme_of(self)
        form = QTextCharFormat()
        form.setBackground(theme.chip(1))
        form.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
        form.setUnderlineColor(QColor(theme.warning))
        marks = []
        text = self.prose.toPlainText()
        for start, end in places:
            mark = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.prose.document())
            cursor.setPosition(_units(text[:start]))
            cursor.setPosition(_units(text[:end]), QTextCursor.MoveMode.KeepAnchor)
            mark.cursor, mark.format = cursor, form
            marks.append(mark)
        self.prose.setExtraSelections(marks)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(QColor(theme.panel))
            pen = painter.pen()
            pen.setWidth(3 if self.chosen else 1)
            pen.setColor(QColor(theme.accent if self.chosen else theme.line))
            painter.setPen(pen)
            painter.drawRoundedRect(self.rect().adjusted(2, 2, -2, -2), 6, 6)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress:
            self.clicked.emit(self.id)
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = event.position().toPoint()
        self.clicked.emit(self.id)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            return
        if (event.position().toPoint() - self._pressed).manhattanLength() < QApplication.startDragDistance():
            return
        self._pressed = None
        drag, data = QDrag(self), QMimeData()
        data.setData(_DRAGGED, self.id.encode())
        drag.setMimeData(data)
        drag.setPixmap(self.grab().scaledToWidth(160, Qt.TransformationMode.SmoothTransformation))
        drag.exec(Qt.DropAction.MoveAction)


class Board(QWidget):
    """All cards of an item, in the order in which they stand; every key of theirs comes here.

    Args:
        on_key: Told a key; says whether it meant something.
        on_drop: Told the id of a card and the place where it was dropped.
    """

    clicked = Signal(str)

    def __init__(self, on_key: Callable[[QKeyEvent], bool], on_drop: Callable[[str, int], object]) -> None:
        super().__init__()
        self._on_key, self._on_drop = on_key, on_drop
        self.cards: dict[str, Card] = {}
        self.order: tuple[str, ...] = ()
        self.columns = 0  # 0: as many as there is room for
        self.together = True
        self._scrolling = False
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Answers to rank"))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)

    def show_outputs(self, outputs: Sequence[tuple[str, str]]) -> None:
        """Show other outputs: id and text of each, in the order in which the item came."""
        for card in self.cards.values():
            self._grid.removeWidget(card)
            card.hide()
            card.deleteLater()
        self.cards = {}
        for (id, text), letter in zip(outputs, LETTERS, strict=False):
            card = Card(id, letter, text)
            card.setParent(self)  # also where it is not among those in view
            card.clicked.connect(self.clicked)
            bar = card.prose.verticalScrollBar()
            bar.valueChanged.connect(partial(self._scrolled, id))
            self.cards[id] = card
        self.order = ()

    def show_standing(self, standing: Standing, notes: dict[str, str], only: Sequence[str] = ()) -> None:
        """Show ranks, order and choice; only the cards named, where some are."""
        order = tuple(only) or standing.order
        if order != self.order:
            self.order = order
            self._place()
        for id, card in self.cards.items():
            rank = 0 if only else standing.ranks.get(id, 0)
            card.show_state(rank, id == standing.chosen, notes.get(id, ""))

    def mark_differences(self, chosen: str | None) -> bool:
        """Mark in each card what the chosen one does not say, or nothing; False where texts are too long."""
        whole = True
        for id, card in self.cards.items():
            places: list[tuple[int, int]] | None = []
            if chosen in self.cards and id != chosen:
                places = differences(card.prose.toPlainText(), self.cards[chosen].prose.toPlainText())
            whole = whole and places is not None
            card.mark(places or [])
        return whole

    def scroll_by(self, pages: float) -> None:
        """Scroll all cards by a part of their height."""
        for id in self.order:
            bar = self.cards[id].prose.verticalScrollBar()
            bar.setValue(bar.value() + round(pages * bar.pageStep()))

    def set_columns(self, columns: int) -> None:
        """Set how many cards stand side by side; 0 for as many as there is room for."""
        self.columns = columns
        self._place()

    @property
    def in_a_row(self) -> int:
        """How many cards stand side by side."""
        n = len(self.order)
        return max(1, self.columns or (n if n <= 3 else 2 if n == 4 else 3))

    def _place(self) -> None:
        for card in self.cards.values():
            self._grid.removeWidget(card)
            card.setVisible(card.id in self.order)
        n = len(self.order)
        columns = self.in_a_row
        for i in range(max(self._grid.columnCount(), columns)):
            self._grid.setColumnStretch(i, 1 if i < columns else 0)
        for i in range(max(self._grid.rowCount(), n)):
            self._grid.setRowStretch(i, 1 if i * columns < n else 0)
        for at, id in enumerate(self.order):
            self._grid.addWidget(self.cards[id], at // columns, at % columns)

    def _scrolled(self, id: str, value: int) -> None:
        """Scroll the others by the same share of what there is to scroll."""
        if not self.together or self._scrolling:
            return
        self._scrolling = True
        most = self.cards[id].prose.verticalScrollBar().maximum()
        for other, card in self.cards.items():
            bar = card.prose.verticalScrollBar()
            if other != id and most:
                bar.setValue(round(value / most * bar.maximum()))
        self._scrolling = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self._on_key(event):
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasFormat(_DRAGGED) and isinstance(event.source(), Card):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        id = bytes(event.mimeData().data(_DRAGGED).data()).decode("ascii", "replace")
        self._on_drop(id, self.place_at(event.position().toPoint()))
        event.acceptProposedAction()

    def place_at(self, point: QPoint) -> int:
        """The place of the card under a point, or of the one that is nearest to it."""

        def far(id: str) -> int:
            return (self.cards[id].geometry().center() - point).manhattanLength()

        inside = [id for id in self.order if self.cards[id].geometry().contains(point)]
        return self.order.index(inside[0] if inside else min(self.order, key=far))
