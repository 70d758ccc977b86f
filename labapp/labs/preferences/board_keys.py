"""What the keys at the board mean; no single one destroys anything, and a key held down counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

from labapp.labs.preferences.keys import digit_of
from labapp.labs.preferences.standing import Standing
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.preferences.rank import RankPage


class BoardKeys:
    """Reads keys for the page Rank."""

    def __init__(self, page: RankPage) -> None:
        self._page = page

    def read(self, event: QKeyEvent) -> bool:
        """A key at the board; whether it meant something. No single one destroys anything."""
        self._page.desk.active.touch()
        if self._page.desk.standing is None:
            return False
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():  # a key held down would save what comes next, unread
                self._page.submit()
            return True
        if event.matches(QKeySequence.StandardKey.Undo):
            self._page.undo()
        elif event.matches(QKeySequence.StandardKey.Redo) or _is_ctrl_y(event):
            self._page.redo()
        else:
            return self._plain_key(event)
        return True

    def _plain_key(self, event: QKeyEvent) -> bool:
        digit, standing = digit_of(event), self._page.desk.standing
        asked = self._page.desk.by_pairs and standing is not None and standing.pair is not None
        if digit is not None and event.isAutoRepeat():
            return True
        if asked:
            return self._pair_key(event, digit)
        if (
            digit is not None
            and event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            and self._page.work.ratings
        ):
            self._page.rate(digit)
            return True
        if digit is not None and not self._page.desk.by_pairs:
            self._page.take(Standing.clear) if digit == 0 else self._page.press_digit(digit)
            return True
        return self._arrow(event) or self._letter_key(event)

    def _pair_key(self, event: QKeyEvent, digit: int | None) -> bool:
        arrows = {Qt.Key.Key_Left: "left", Qt.Key.Key_Right: "right", Qt.Key.Key_Down: "tie"}
        digits = {1: "left", 2: "right", 3: "tie", 4: "both_bad"}
        verdict = digits.get(digit) if digit is not None else arrows.get(Qt.Key(event.key()))
        if verdict is None or event.isAutoRepeat():
            return self._letter_key(event)
        self._page.judge(verdict)
        return True

    def _arrow(self, event: QKeyEvent) -> bool:
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if by is None:
            row = self._page.work.board.in_a_row
            by = {Qt.Key.Key_Up: -row, Qt.Key.Key_Down: row}.get(Qt.Key(event.key()))
        if by is None or self._page.desk.standing is None:
            return False
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            if not self._page.desk.by_pairs:
                self._page.take(lambda standing: standing.move(by))
                self._page.say(
                    tr("Ranked as they stand: {order}", order=self._page.in_letters(self._page.desk.standing))
                )
            return True
        self._page.choose(self._page.desk.standing.step(by))
        return True

    def _letter_key(self, event: QKeyEvent) -> bool:
        if event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier or event.isAutoRepeat():
            return self._scroll_key(event)
        match event.key():
            case Qt.Key.Key_Y if not self._page.desk.by_pairs:
                self._order_is_right()
            case Qt.Key.Key_B:
                self._page.take(Standing.toggle_all_bad)
            case Qt.Key.Key_C:
                self._page.work.comment.setFocus()
            case Qt.Key.Key_F if self._page.work.flags:
                next(iter(self._page.work.flags.values())).setFocus()
            case Qt.Key.Key_S:
                self._page.work.open_skip()
            case Qt.Key.Key_D:
                self._page.panel.differences.toggle()
            case Qt.Key.Key_Backspace | Qt.Key.Key_Delete if not self._page.desk.by_pairs:
                self._page.take(Standing.clear)
            case _:
                return self._scroll_key(event)
        return True

    def _order_is_right(self) -> None:
        """Y: the answer where the order was asked about; else the order shown, for Enter to save."""
        if self._page.notice.offers(self._page.keep_and_submit):
            self._page.keep_and_submit()
        else:
            self._page.take(Standing.keep_order)

    def _scroll_key(self, event: QKeyEvent) -> bool:
        pages = {Qt.Key.Key_PageDown: 0.8, Qt.Key.Key_Space: 0.8, Qt.Key.Key_PageUp: -0.8}
        by = pages.get(Qt.Key(event.key()))
        if by is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        self._page.work.board.scroll_by(by)
        return True


def _is_ctrl_y(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_Y and event.modifiers() == Qt.KeyboardModifier.ControlModifier
