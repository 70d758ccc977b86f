"""What the pages of this lab share: a column of widgets, and how numbers are written."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget


def column(*parts: QWidget, grows: QWidget) -> QWidget:
    """Widgets one below the other, as the middle of a page; one of them takes the room that is left."""
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    for part in parts:
        layout.addWidget(part)
    layout.setStretchFactor(grows, 1)
    return made


def number(value: float, digits: int = 4) -> str:
    """A number as it is set in the app, with a true minus.

    >>> number(-0.25), number(0.00001)
    ('−0.2500', '0.0000')
    """
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def figures(value: float) -> str:
    """A number with three significant digits.

    >>> figures(-0.000573), figures(0.0465)
    ('−0.000573', '0.0465')
    """
    return f"{value:.3g}".replace("-", "−")


def size_text(size: float) -> str:
    """Bytes of memory as a person reads them.

    >>> size_text(5.7 * 2**30), size_text(4_200_000)
    ('5.70 GiB', '4.0 MiB')
    """
    return f"{size / 2**30:.2f} GiB" if size >= 0.1 * 2**30 else f"{size / 2**20:.1f} MiB"
