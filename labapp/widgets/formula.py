"""A typeset formula in one line, made of terms; a term that has a name can be chosen by mouse and keys.

ziamath sets each term as vector outlines, which are painted in the theme's colors; nothing here is rich text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QByteArray, QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontInfo, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from labapp.theme import mix, theme_of
from labapp.widgets.prose import plain_tooltip

SIZE = 1.5  # of the formula's type, in that of the text
GAP = 5.0  # px between two terms
PAD = 4.0  # px around a term


@dataclass(frozen=True)
class Term:
    """A piece of a formula.

    Attributes:
        latex: How it is set.
        name: By which it is chosen; "" is only painted.
        says: What it is, in words: its tooltip, and what a screen reader says.
        faded: Whether it stands back, because it does not count now.
    """

    latex: str
    name: str = ""
    says: str = ""
    faded: bool = False


class Formula(QWidget):
    """Terms on one baseline, made smaller where the widget is too narrow.

    Args:
        name: The formula in words.
        terms: From the left.
        size: Of the type, in that of the text.
        centered: Whether it stands in the middle of its room.
    """

    term_chosen = Signal(str)

    def __init__(
        self, name: str, terms: Sequence[Term] = (), size: float = SIZE, centered: bool = False
    ) -> None:
        super().__init__()
        self.terms: tuple[Term, ...] = ()
        self.chosen = ""
        self._size, self._centered = size, centered
        self._over = ""
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.set_terms(terms)

    def set_terms(self, terms: Sequence[Term]) -> None:
        """Show another formula."""
        self.terms = tuple(terms)
        choices = any(term.name for term in terms)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if choices else Qt.FocusPolicy.NoFocus)
        self.updateGeometry()
        self.update()

    def choose(self, name: str) -> None:
        """Mark a term, without telling."""
        self.chosen = name
        says = next((term.says for term in self.terms if term.name == name), "")
        self.setAccessibleDescription(says)
        self.update()

    # Where things are.

    def _set(self, scale: float = 1.0) -> list[_Set]:
        """All terms as they are set at the widget's type size."""
        theme = theme_of(self)
        faded = mix(QColor(theme.secondary), QColor(theme.panel), 0.5).name()
        size = QFontInfo(self.font()).pixelSize() * self._size * scale
        return [
            _typeset(term.latex, round(size, 1), faded if term.faded else theme.text) for term in self.terms
        ]

    def _extent(self, scale: float = 1.0) -> tuple[float, float, float]:
        """Width, height above the baseline, and below it."""
        parts = self._set(scale)
        width = sum(part.width for part in parts) + GAP * scale * max(0, len(parts) - 1) + 2 * PAD
        return (
            width,
            max((part.above for part in parts), default=0) + PAD,
            max((part.below for part in parts), default=0) + PAD,
        )

    def _places(self) -> list[tuple[Term, QRectF, _Set]]:
        """Each term, its room, and how it is set."""
        width, above, below = self._extent()
        scale = min(1.0, max(0.4, self.width() / width)) if width else 1.0
        if scale < 1:
            width, above, below = self._extent(scale)
        x = max(0.0, (self.width() - width) / 2) if self._centered else 0.0
        x += PAD
        base = (self.height() - above - below) / 2 + above
        places = []
        for term, part in zip(self.terms, self._set(scale), strict=True):
            places.append((term, QRectF(x, base - part.above, part.width, part.above + part.below), part))
            x += part.width + GAP * scale
        return places

    def term_at(self, point: QPointF) -> str:
        """The name of the term under a point, or ""."""
        for term, box, _ in self._places():
            if term.name and box.adjusted(-PAD, -8, PAD, 8).contains(point):
                return term.name
        return ""

    def place_of(self, name: str) -> QRectF:
        """Where a term stands."""
        return next(box for term, box, _ in self._places() if term.name == name)

    def sizeHint(self) -> QSize:
        width, above, below = self._extent()
        return QSize(round(width) + 1, round(above + below) + 1)

    def minimumSizeHint(self) -> QSize:
        return QSize(min(120, self.sizeHint().width()), self.sizeHint().height())

    # Qt.

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = theme_of(self)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            places = self._places()
            named = [box for term, box, _ in places if term.name]
            top, bottom = (
                min((box.top() for box in named), default=0),
                max((b.bottom() for b in named), default=0),
            )
            for term, box, part in places:
                if term.name:
                    marked = term.name in (self.chosen, self._over)
                    back = QRectF(box.left() - 2, top - 3, box.width() + 4, bottom - top + 6)
                    painter.setBrush(QColor(theme.accent_back) if marked else Qt.BrushStyle.NoBrush)
                    painter.setPen(
                        QPen(QColor(theme.accent), 1.5)
                        if term.name == self.chosen
                        else Qt.PenStyle.NoPen
                    )  # fmt: skip
                    painter.drawRoundedRect(back, 4, 4)
                    if term.name != self.chosen:  # what can be chosen is underlined, so color is not alone
                        painter.setPen(QPen(QColor(theme.accent), 1, Qt.PenStyle.DotLine))
                        painter.drawLine(back.bottomLeft(), back.bottomRight())
                part.renderer.render(painter, box)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(theme.accent), 1))
                painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        name = self.term_at(event.position())
        if name:
            self._choose(name)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self.term_at(event.position())
        if over == self._over:
            return
        self._over = over
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        says = next((term.says for term in self.terms if over and term.name == over), "")
        if says:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tooltip(says), self)
        else:
            QToolTip.hideText()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._over = ""
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        names = list(dict.fromkeys(term.name for term in self.terms if term.name))
        if by is None or not names:
            super().keyPressEvent(event)
            return
        at = names.index(self.chosen) if self.chosen in names else (-1 if by > 0 else len(names))
        self._choose(names[min(max(at + by, 0), len(names) - 1)])

    def _choose(self, name: str) -> None:
        self.choose(name)
        self.term_chosen.emit(name)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange):
            self.updateGeometry()
            self.update()


@dataclass(frozen=True, eq=False)
class _Set:
    """A term as it is set: its outlines, and its size in px around the baseline."""

    renderer: QSvgRenderer
    width: float
    above: float
    below: float


@lru_cache(maxsize=400)
def _typeset(latex: str, size: float, color: str) -> _Set:
    """Set a term; ziamath takes 0.1 s to import and some milliseconds for a term, so each is set once."""
    from ziafont.config import config
    from ziamath.zmath import Latex

    config.svg2 = False  # Qt draws no <symbol>: outlines stand where they are used
    made = Latex(latex, size=size, color=color, inline=True, margin=0)
    renderer = QSvgRenderer(QByteArray(made.svg().encode()))
    box = renderer.viewBoxF()
    return _Set(renderer, box.width(), -box.top(), box.bottom())
