"""A form of a settings class: one field per setting, with its title, unit, limits and tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from core.settings import SettingInfo, describe, from_json
from labapp.widgets.parts import field, inset
from labapp.words import tr

BIGGEST = 2_000_000_000  # Qt's spin boxes hold 32 bits


class SettingsForm(QWidget):
    """Shows and edits the settings named; `values()` gives them as JSON values, unchecked.

    Args:
        cls: The settings class.
        names: Which of its settings, in order; two to a row where `columns` is 2.
        columns: Fields in a row.
        titles: Texts for the choices of a setting, by setting and value.
    """

    changed = Signal()

    def __init__(
        self,
        cls: type[Any],
        names: Sequence[str],
        columns: int = 1,
        titles: dict[str, dict[Any, str]] | None = None,
    ) -> None:
        super().__init__()
        self.cls = cls
        self._titles = titles or {}
        self._fields: dict[str, QWidget] = {}
        infos = {info.name: info for info in describe(cls)}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for i, name in enumerate(names):
            info = infos[name]
            made = self._make(info)
            self._fields[name] = made
            shown = made if isinstance(made, QCheckBox) else field(tr(info.title), made, tr(info.tooltip))
            made.setToolTip(tr(info.tooltip))
            grid.addWidget(shown, i // columns, i % columns)
        for i in range(columns):
            grid.setColumnStretch(i, 1)

    def values(self) -> dict[str, Any]:
        """The values as they stand in the fields."""
        return {name: _read(made) for name, made in self._fields.items()}

    def settings(self) -> Any:
        """The settings object, checked.

        Raises:
            LabError: A value is outside its limits.
        """
        return from_json(self.cls, self.values())

    def set_values(self, values: dict[str, Any]) -> None:
        """Put values into the fields; what does not fit is left as it is."""
        for name, value in values.items():
            if name in self._fields:
                _write(self._fields[name], value)

    def _make(self, info: SettingInfo) -> QWidget:
        if info.choices:
            combo = QComboBox()
            for choice in info.choices:
                combo.addItem(tr(self._titles.get(info.name, {}).get(choice, str(choice))), choice)
            combo.setCurrentIndex(combo.findData(info.default))
            combo.currentIndexChanged.connect(self.changed)
            return combo
        if info.kind is bool:
            box = QCheckBox(tr(info.title))
            box.setChecked(info.default)
            box.toggled.connect(self.changed)
            return box
        if info.kind is int:
            spin = QSpinBox()
            spin.setRange(int(info.low or -BIGGEST), int(info.high or BIGGEST))
            spin.setGroupSeparatorShown(True)
            spin.setValue(info.default)
            inset(spin)
            spin.setSuffix(f" {tr(info.unit)}" if info.unit else "")
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self.changed)
            return spin
        if info.kind is float:
            number = QDoubleSpinBox()
            number.setDecimals(6)
            number.setRange(
                info.low if info.low is not None else -1e12, info.high if info.high is not None else 1e12
            )
            number.setValue(info.default)
            inset(number)
            number.setSuffix(f" {tr(info.unit)}" if info.unit else "")
            number.valueChanged.connect(self.changed)
            return number
        line = QLineEdit(str(info.default))
        line.editingFinished.connect(self.changed)
        return line


def _read(made: QWidget) -> Any:
    if isinstance(made, QComboBox):
        return made.currentData()
    if isinstance(made, QCheckBox):
        return made.isChecked()
    if isinstance(made, QSpinBox | QDoubleSpinBox):
        return made.value()
    return made.text() if isinstance(made, QLineEdit) else None


def _write(made: QWidget, value: Any) -> None:
    made.blockSignals(True)
    if isinstance(made, QComboBox) and made.findData(value) >= 0:
        made.setCurrentIndex(made.findData(value))
    elif isinstance(made, QCheckBox) and isinstance(value, bool):
        made.setChecked(value)
    elif isinstance(made, QSpinBox) and isinstance(value, int):
        made.setValue(max(made.minimum(), min(made.maximum(), value)))
    elif isinstance(made, QDoubleSpinBox) and isinstance(value, int | float):
        made.setValue(value)
    elif isinstance(made, QLineEdit) and isinstance(value, str):
        made.setText(value)
    made.blockSignals(False)
