"""Compare: up to four tokenizers on one text, and the words that they cut differently."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once, run_to_end
from core.tokenizer.compare import Differences, TextCount, text_counts, words_that_differ
from core.tokenizer.starts import encode_text, word_spans
from core.tokenizer.tokenizer import Tokenizer
from labapp.labs.tokenizer.choose import TokenizerPicker
from labapp.pages import LabPage
from labapp.widgets.parts import card, controls, field, label
from labapp.widgets.prose import plain_tooltip
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import TokenText, visible
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab

MOST = 4  # tokenizers
COMPARED_AT_MOST = 500_000  # characters; words of a longer text are compared in its beginning
DIFFERING = 300  # words named that differ


class ComparePage(LabPage):
    """The text of the Encode page through up to four tokenizers."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self._build()
        self._restored: list[str] = []

    def _build(self) -> None:
        self.pickers = [
            TokenizerPicker(tr("Tokenizer {n}", n=i + 1), self.context, self.lab.learn.tokenizer, tr("None"))
            for i in range(MOST)
        ]
        self.text_label = label("", "secondary", wrap=True)
        fields = []
        for picker in self.pickers:
            picker.set_title(tr("None"))
            picker.chosen.connect(lambda _: self.compare())
            name = picker.accessibleName().partition(":")[0]
            fields.append(field(name, picker, tr("One of up to four tokenizers")))
        self.controls = controls(*fields, self.text_label)
        self.table = Table(
            tr("Counts"),
            [
                Column(tr("Tokenizer"), stretch=True, bold=True),
                Column(tr("Vocabulary"), number=True),
                Column(tr("Tokens"), number=True),
                Column(tr("Characters per token"), number=True),
                Column(tr("Bytes per token"), number=True),
            ],
        )
        self.views: list[tuple[QWidget, TokenText, Any]] = []
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(card(self.table, margin=8))
        for _ in range(MOST):
            title, view = label("", "small"), TokenText()
            title.setFixedWidth(104)  # not wrapped: Qt squeezes the table where heights depend on widths
            view.setMinimumHeight(28)
            row = QHBoxLayout()
            row.addWidget(title)
            row.addWidget(view, 1)
            shown = card(row, margin=6)
            layout.addWidget(shown, 1)
            self.views.append((shown, view, title))
        self.heading = label("", "heading", wrap=True)
        self.words = Table(
            tr("Words that differ"),
            [Column(tr("Word"), mono=True), Column(tr("Cut as"), mono=True, stretch=True)],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.addWidget(self.heading)
        column.addWidget(self.words, 1)
        self.words.row_chosen.connect(self._word_chosen)
        self._starts: list[int] = []

    def shown(self) -> None:
        if all(picker.tokenizer is None for picker in self.pickers):
            keys = self._restored or [
                c.key for c in self.pickers[0].choices() if c.enabled and c.key.startswith("known:")
            ]
            for picker, key in zip(self.pickers, keys, strict=False):
                picker.pick(key)
        self.take_focus()
        self.compare()

    def take_focus(self) -> None:
        self.pickers[0].setFocus()

    def compare(self) -> None:
        """Count and compare again, if the text or a tokenizer has changed."""
        chosen = [(p.title, p.tokenizer) for p in self.pickers if p.tokenizer is not None]
        text = self.lab.encode.text()
        self._show_views(text, chosen)
        if not chosen:
            self.table.set_rows([])
            return
        tokenizers = [tokenizer for _, tokenizer in chosen]
        part = text[:COMPARED_AT_MOST]
        self.text_label.setText(
            tr("The text of the Encode page: {n:,} characters.", n=len(text))
            + (tr(" Words are compared in the first {n:,}.", n=len(part)) if len(part) < len(text) else "")
        )
        self.lab.ask(
            "compare",
            lambda: once(
                lambda: (text_counts(text, tokenizers), words_that_differ(part, tokenizers, DIFFERING))
            ),
            tr("Comparing tokenizers"),
            lambda found: self._compared(found, [name for name, _ in chosen], tokenizers),
        )

    def _show_views(self, text: str, chosen: list[tuple[str, Tokenizer]]) -> None:
        part = text[:2000]
        for i, (shown, view, title) in enumerate(self.views):
            shown.setVisible(i < len(chosen))
            if i < len(chosen):
                name, tokenizer = chosen[i]
                title.setText(name)
                title.setToolTip(plain_tooltip(name))
                try:
                    encoded = run_to_end(encode_text(part, tokenizer)).result
                except LabError as error:
                    self.lab.frame.messages.show_problem(error)
                    continue
                view.set_text(encoded.data, encoded.words)
                view.set_spans(partial(word_spans, tokenizer))

    def _compared(
        self, found: tuple[list[TextCount], Differences], names: list[str], tokenizers: list[Tokenizer]
    ) -> None:
        counts, differences = found
        self._show_counts(counts, names, tokenizers)
        self._show_differences(differences, names)

    def _show_counts(self, counts: list[TextCount], names: list[str], tokenizers: list[Tokenizer]) -> None:
        fewest = min((c.tokens for c in counts), default=0)
        differ = any(c.tokens > fewest for c in counts)
        self.table.set_rows(
            [
                (
                    name + (tr("  (fewest)") if differ and c.tokens == fewest else ""),
                    f"{t.vocab_size:,}",
                    f"{c.tokens:,}",
                    f"{c.characters_per_token:.2f}",
                    f"{c.bytes_per_token:.2f}",
                )
                for name, c, t in zip(names, counts, tokenizers, strict=True)
            ]
        )  # fmt: skip
        height = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(height + len(counts) * self.table.verticalHeader().defaultSectionSize() + 6)

    def _show_differences(self, found: Differences, names: list[str]) -> None:
        if len(names) < 2:
            self.heading.setText(tr("Choose a second tokenizer to see where they differ."))
            self.words.set_rows([])
            return
        self.heading.setText(
            tr("{places:,} of {total:,} words are cut differently", places=found.places, total=found.total)
        )
        rows: list[tuple[str, str]] = []
        self._starts = []
        for word in found.words:
            for i, pieces in enumerate(word.pieces):
                first = visible(word.text.encode()) if i == 0 else ""
                rows.append((first, f"{i + 1}  " + "·".join(visible(piece) for piece in pieces)))
                self._starts.append(word.start)
        self.words.set_rows(rows)

    def _word_chosen(self, row: int) -> None:
        if row < len(self._starts):
            offset = len(self.lab.encode.text()[: self._starts[row]].encode())
            for shown, view, _ in self.views:
                if not shown.isHidden():
                    view.show_byte(offset)

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Tokenizers compared"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {
            "tokenizers": [p.key for p in self.pickers]
            if any(p.key for p in self.pickers)
            else self._restored
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        keys = state.get("tokenizers")
        if isinstance(keys, list):
            self._restored = [
                k
                for k in keys
                if isinstance(k, str) and k.partition(":")[0] in ("known", "artifact", "file", "none")
            ]
