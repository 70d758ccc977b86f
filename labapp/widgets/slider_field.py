"""A number on one line: its name, a slider, and the value as it is written; from a setting's own text."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QWidget

from core.settings import SettingInfo
from labapp.widgets.parts import label
from labapp.words import tr

NAME = 104  # px
VALUE = 38  # px


class SliderField(QWidget):
    """One setting with a short row of values to choose from.

    Args:
        info: The setting.
        steps: Its values, rising; the default must be one of them.
        off: What is written in the place of the value that changes nothing.
    """

    changed = Signal()

    def __init__(
        self, info: SettingInfo, steps: Sequence[float], off: tuple[float, str] | None = None
    ) -> None:
        super().__init__()
        self._steps, self._off = tuple(steps), off
        self._whole = info.kind is int
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(self._steps) - 1)
        self.slider.setPageStep(max(1, len(self._steps) // 10))
        self.slider.setAccessibleName(tr(info.title))
        for widget in (self, self.slider):
            widget.setToolTip(tr(info.tooltip))
        self._written = label("", "small")
        self._written.setFixedWidth(VALUE)
        self._written.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        name = label(tr(info.title), "small")
        name.setFixedWidth(NAME)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(name)
        row.addWidget(self.slider, 1)
        row.addWidget(self._written)
        self.set_value(info.default)
        self.slider.valueChanged.connect(self._moved)

    @property
    def value(self) -> float:
        """The value that is chosen."""
        return self._steps[self.slider.value()]

    def set_value(self, value: float) -> None:
        """Choose the step nearest to a value, without telling."""
        nearest = min(range(len(self._steps)), key=lambda i: abs(self._steps[i] - value))
        self.slider.blockSignals(True)
        self.slider.setValue(nearest)
        self.slider.blockSignals(False)
        self._write()

    def _moved(self) -> None:
        self._write()
        self.changed.emit()

    def _write(self) -> None:
        if self._off is not None and self.value == self._off[0]:
            text = self._off[1]
        else:
            text = f"{self.value:,.0f}" if self._whole else f"{self.value:.2f}"
        self._written.setText(text)
        self.slider.setAccessibleDescription(text)
