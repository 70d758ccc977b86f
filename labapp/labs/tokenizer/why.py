"""Why not words? Why not characters? The same text in all units, counted on the user's own text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.stages import once
from core.tokenizer.compare import Unit, why_tokens
from core.tokenizer.samples import load_sample, load_samples
from labapp.labs.tokenizer.choose import TokenizerPicker
from labapp.pages import LabPage
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.parts import card, controls, field, label
from labapp.widgets.picker import Choice, Picker
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab

SHORT = 1000  # characters below which a text has too few words to count unseen ones


class WhyPage(LabPage):
    """Sequence length, vocabulary and unseen units of words, tokens, characters and bytes."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self._source = ""
        self.text_picker = Picker(tr("Text"), self._choices)
        self.text_picker.picked.connect(self.pick_text)
        self.picker = TokenizerPicker(tr("Tokenizer"), self.context, self.lab.learn.tokenizer)
        self.picker.set_title(tr("Choose one"))
        self.picker.chosen.connect(lambda _: self.count())
        self.note = label("", "secondary", wrap=True)
        self.controls = controls(
            field(tr("Text"), self.text_picker, tr("The text that is counted")),
            field(tr("Tokenizer"), self.picker, tr("Whose tokens are counted")),
            self.note,
        )
        self.length = Bars(tr("Sequence length"))
        self.vocabulary = Bars(tr("Vocabulary needed"))
        self.unseen = Bars(tr("Unseen in the second half"))
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for title, sub, bars in (
            (tr("How long is the text?"), tr("units in the text: shorter is cheaper"), self.length),
            (
                tr("How large a vocabulary does a model need?"),
                tr("different units: each needs a row of numbers"),
                self.vocabulary,
            ),
            (
                tr("What was never seen?"),
                tr("places in the second half of your text whose unit is not in the first half"),
                self.unseen,
            ),
        ):
            layout.addWidget(
                card(label(title, "heading"), label(sub, "small"), bars, margin=12, spacing=4), 1
            )
        self.heading = label("", "heading", wrap=True)
        self.table = Table(tr("Unseen words"), [Column(tr("Unseen words"), mono=True, stretch=True)])
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.addWidget(self.heading)
        column.addWidget(self.table, 1)

    def _choices(self) -> list[Choice]:
        samples = [
            Choice(s.name, s.title, tr("Samples"), tip=s.notice)
            for s in load_samples()
            if len(s.text) > SHORT
        ]
        return [Choice("", tr("The text of the Encode page")), *samples]

    def pick_text(self, name: str) -> None:
        """Count another text: a sample by its name, or "" for the text of the Encode page."""
        self._source = name
        self.text_picker.set_title(load_sample(name).title if name else tr("The text of the Encode page"))
        self.count()

    def _text(self) -> str:
        return load_sample(self._source).text if self._source else self.lab.encode.text()

    def shown(self) -> None:
        if not self.text_picker.title:
            self.pick_text("" if len(self.lab.encode.text()) > SHORT else "story")
        if self.picker.tokenizer is None:
            self.picker.follow(self.lab.encode.picker, self.lab.encode.first_choice())
        else:
            self.count()

    def count(self) -> None:
        """Count again."""
        tokenizer, text = self.picker.tokenizer, self._text()
        if tokenizer is None:
            return
        self.note.setText(
            tr("Counted on {n:,} characters. Put your own text on the Encode page.", n=len(text))
        )
        self.lab.ask(
            "why",
            lambda: once(lambda: why_tokens(text, tokenizer)),
            tr("Counting units"),
            self._show,
        )

    def _show(self, units: list[Unit]) -> None:
        names = {
            "words": tr("words"),
            "tokens": tr("tokens"),
            "characters": tr("characters"),
            "bytes": tr("bytes"),
        }
        rows = [(names[unit.name], unit) for unit in units]
        strong = "tokens"
        self.length.set_bars([Bar(n, u.length, f"{u.length:,}", u.name == strong) for n, u in rows])
        self.vocabulary.set_bars(
            [Bar(n, u.vocabulary, f"{u.vocabulary:,}", u.name == strong) for n, u in rows]
        )
        self.unseen.set_bars(
            [
                Bar(
                    n, u.unseen,
                    tr(
                        "{n:,} of {all:,} ({share:.1f} %)",
                        n=u.unseen, all=u.held_out, share=100 * u.unseen_share,
                    ),
                    u.name == strong,
                )
                for n, u in rows
            ]
        )  # fmt: skip
        words = units[0]
        self.heading.setText(
            tr(
                "{n:,} words of the second half were never seen: a model of words could not read them",
                n=words.unseen_distinct,
            )
        )
        self.table.set_rows([(word,) for word in words.examples])

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Why tokens"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"tokenizer": self.picker.key, "text": self._source}

    def restore_state(self, state: dict[str, Any]) -> None:
        key = state.get("tokenizer")
        if isinstance(key, str) and key.startswith("known:"):
            self.picker.pick(key)
        name = state.get("text")
        if isinstance(name, str) and name in [choice.key for choice in self._choices()]:
            self.pick_text(name)
