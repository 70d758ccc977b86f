"""Languages: the same five sentences in seventeen languages, and how many tokens each takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from core.stages import once
from core.tokenizer.compare import LanguageCost, language_costs
from core.tokenizer.samples import load_languages
from labapp.labs.tokenizer.choose import TokenizerPicker
from labapp.pages import LabPage
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import card, controls, field, label
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab


class LanguagesPage(LabPage):
    """One text in many languages with its price ratio."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self._languages = load_languages()
        self._costs: list[LanguageCost] = []
        self.picker = TokenizerPicker(tr("Tokenizer"), self.context, self.lab.learn.tokenizer)
        self.picker.set_title(tr("Choose one"))
        self.picker.chosen.connect(lambda _: self.count())
        self.controls = controls(
            field(tr("Tokenizer"), self.picker, tr("Whose tokens are counted")),
            label(self._languages.note, "secondary", wrap=True),
        )
        self.heading = label(tr("The same five sentences"), "heading")
        self.bars = Bars(tr("Tokens by language"))
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(card(self.heading, self.bars, spacing=6))
        self.table = Table(
            tr("Languages"),
            [
                Column(tr("Language"), stretch=True),
                Column(tr("Tokens"), number=True),
                Column(tr("Bytes per token"), number=True),
            ],
        )
        self.table.row_chosen.connect(self._row_chosen)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName(tr("The text in the chosen language"))
        self.text.setToolTip(tr("The text in the chosen language"))
        self.text.setTabChangesFocus(True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.addWidget(self.table, 2)
        column.addWidget(self.text, 1)

    def shown(self) -> None:
        if self.picker.tokenizer is None:
            self.picker.follow(self.lab.encode.picker, self.lab.encode.first_choice())
        self.picker.setFocus()

    def count(self) -> None:
        """Count the text in every language."""
        tokenizer = self.picker.tokenizer
        if tokenizer is None:
            return
        texts = {language.name: language.text for language in self._languages.languages}
        self.lab.ask(
            "languages",
            lambda: once(lambda: language_costs(texts, tokenizer)),
            tr("Counting languages"),
            self._show,
        )

    def _show(self, costs: list[LanguageCost]) -> None:
        self._costs = sorted(costs, key=lambda cost: cost.tokens)
        self.bars.set_bars(
            [
                Bar(
                    c.language,
                    c.tokens,
                    tr("{n:,} tokens · {ratio:.1f}×", n=c.tokens, ratio=c.ratio),
                    c.language == c.base,
                )
                for c in self._costs
            ]
        )
        most = self._costs[-1]
        self.heading.setText(
            tr(
                "The same five sentences: {language} takes {ratio:.1f} times the tokens of English",
                language=most.language,
                ratio=most.ratio,
            )
        )
        rows = [(c.language, f"{c.tokens:,}", f"{c.bytes_per_token:.2f}") for c in self._costs]
        self.table.set_rows(rows, choose=0)
        self._row_chosen(0)

    def _row_chosen(self, row: int) -> None:
        if row < len(self._costs):
            name = self._costs[row].language
            self.text.setPlainText(next(la.text for la in self._languages.languages if la.name == name))

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Languages"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"tokenizer": self.picker.key}

    def restore_state(self, state: dict[str, Any]) -> None:
        key = state.get("tokenizer")
        if isinstance(key, str) and key.startswith("known:"):
            self.picker.pick(key)
