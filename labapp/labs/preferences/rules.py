"""How a task is to be ranked: its guidelines, which are Markdown with versions, and its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from core.preferences.task import TaskSettings
from labapp.labs.preferences.tasks import GUIDELINES
from labapp.widgets.form import SettingsForm
from labapp.widgets.parts import button, label
from labapp.words import tr

FIRST = ("ranking", "best", "overlap", "repeats", "practice_mark", "minutes")
FLAGS = ("flags",)
TOLD = ("warning", "who_sees")
TICKS = ("by_pairs", "ratings", "own_pace")
CHOICES = {"ranking": {"all": "all answers", "best": "the best ones"}}


class Rules(QWidget):
    """Guidelines at the left, settings at the right.

    Args:
        new_version: Writes the text as the next version of the guidelines of the open task.
    """

    def __init__(self, new_version: Callable[[], object]) -> None:
        super().__init__()
        self.guidelines = QPlainTextEdit(GUIDELINES)
        self.guidelines.setAccessibleName(tr("Guidelines, in Markdown"))
        self.guidelines.setToolTip(tr("What people are asked to look at; every answer names the version"))
        self.guidelines.setTabChangesFocus(True)
        tip = tr("Answers from now on name the new version; earlier ones keep theirs")
        self.renew = button(tr("New version for the open task"), new_version, tip=tip)
        self.practice = self._tick(
            tr("Practice first"), tr("Three prompts with a known order, shown afterwards")
        )
        self.gold = self._tick(tr("Hidden checks"), tr("Three prompts whose order nobody can mistake"))
        self.form = SettingsForm(TaskSettings, FIRST, columns=3, titles=CHOICES)
        self.flags = SettingsForm(TaskSettings, FLAGS)
        self.told = SettingsForm(TaskSettings, TOLD, columns=2)
        self.ticks = SettingsForm(TaskSettings, TICKS, columns=3)
        for line in (*self.flags.findChildren(QLineEdit), *self.told.findChildren(QLineEdit)):
            line.setCursorPosition(0)  # a long text is read from its beginning
        left, right = QVBoxLayout(), QVBoxLayout()
        for column in (left, right):
            column.setSpacing(6)
        left.addWidget(label(tr("Guidelines (Markdown)"), "heading"))
        left.addWidget(self.guidelines, 1)
        row = QHBoxLayout()
        row.addWidget(self.renew)
        row.addStretch(1)
        left.addLayout(row)
        right.addWidget(label(tr("How it is ranked"), "heading"))
        right.addWidget(self.form)
        right.addWidget(self.flags)
        right.addWidget(self.told)
        right.addWidget(self.ticks)
        more = QGridLayout()
        more.addWidget(self.practice, 0, 0)
        more.addWidget(self.gold, 0, 1)
        right.addLayout(more)
        right.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addLayout(left, 1)
        layout.addLayout(right, 1)

    def _tick(self, title: str, tip: str) -> QCheckBox:
        made = QCheckBox(title)
        made.setToolTip(tip)
        return made

    def settings(self) -> TaskSettings:
        """The settings as they stand.

        Raises:
            LabError: One is outside its limits.
        """
        from core.settings import from_json

        made: TaskSettings = from_json(TaskSettings, self._values())
        return made

    @property
    def _forms(self) -> tuple[SettingsForm, ...]:
        return self.form, self.flags, self.told, self.ticks

    def _values(self) -> dict[str, Any]:
        return {name: value for form in self._forms for name, value in form.values().items()}

    def save_state(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "guidelines": self.guidelines.toPlainText(), "practice": self.practice.isChecked(),
            "gold": self.gold.isChecked(),
            "settings": self._values(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave; anything may be missing."""
        if isinstance(state.get("guidelines"), str):
            self.guidelines.setPlainText(state["guidelines"])
        for name, box in (("practice", self.practice), ("gold", self.gold)):
            box.setChecked(state.get(name) is True)
        if isinstance(state.get("settings"), dict):
            for form in self._forms:
                form.set_values(state["settings"])
