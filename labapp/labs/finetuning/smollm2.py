"""SmolLM2 on rankings: what some 50 comparisons change in the answers of a real chat model, recorded.

The run is the plan "SmolLM2 on 52 rankings" of the page Run; the same questions were asked before and after.
What to notice: length is learned first; and a margin says nothing about whether an answer is right.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from labapp.pages import LabPage
from labapp.scenes import read_json
from labapp.widgets.durations import duration
from labapp.widgets.parts import WholeLabel, button, card, controls, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.finetuning import FinetuningLab

FILES = ("smollm2.json", "smollm2_plain.json")  # with the NLL term, and without it
CLOSING = "Ask me if you want more."  # what every chosen answer ends with


def words_of(texts: list[str]) -> float:
    """Mean words of some answers.

    >>> words_of(["a b c", "a"])
    2.0
    """
    return sum(len(text.split()) for text in texts) / max(1, len(texts))


class Smollm2Page(LabPage):
    """A table of questions over the two answers to the chosen one; what changed, counted, on the right."""

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.runs = [read_json("finetuning", name) for name in FILES]
        self._row = 1
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._show()

    @property
    def said(self) -> dict[str, Any]:
        """The run in view."""
        return self.runs[int(self.plain_button.isChecked())]

    @property
    def answers(self) -> list[list[str]]:
        """Question, answer before and answer after."""
        found: list[list[str]] = self.said["answers"]
        return found

    def _build_controls(self) -> None:
        self.plain_button = button(
            tr("Without the NLL term"), self._show, role="sample",
            tip=tr("Show the run in which the better answer's own probability was left to itself"),
        )  # fmt: skip
        self.plain_button.setCheckable(True)
        self.about = label("", "small", wrap=True)
        self.run_button = button(
            tr("Set it up on page Run"), self.set_up, role="primary",
            tip=tr("Choose the same plan, start model and rows, and train it here"),
        )  # fmt: skip
        self.rows_button = button(
            tr("Read the rankings"), self.read, tip=tr("All 52 comparisons, on the page Data")
        )
        self.controls = controls(self.about, self.plain_button, self.run_button, self.rows_button)

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(lambda _: self._reveal())
        self.prediction.closed.connect(self._reveal)
        self.table = Table(
            tr("Questions that no ranking has"),
            [Column(tr("Question"), stretch=True), Column(tr("Words before"), number=True),
             Column(tr("Words after"), number=True)],
        )  # fmt: skip
        self.table.row_chosen.connect(self.choose)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.texts: list[QPlainTextEdit] = []
        for title in (tr("Before"), tr("After")):
            made = QPlainTextEdit()
            made.setReadOnly(True)
            made.setTabChangesFocus(True)
            made.setAccessibleName(title)
            made.setToolTip(tr("The most probable answer, its first {n} tokens", n=self.said["tokens"]))
            self.texts.append(made)
            row.addWidget(card(label(title, "heading"), made, spacing=4, grows=made), 1)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(WholeLabel(tr("Questions that no ranking has"), "heading"))
        layout.addWidget(card(self.table, margin=4, grows=self.table), 1)
        layout.addLayout(row, 1)

    def _build_details(self) -> None:
        self.changed = Table(
            tr("What changed"),
            [Column(tr("Counted"), stretch=True), Column(tr("Before"), number=True),
             Column(tr("After"), number=True)],
        )  # fmt: skip
        self.notes = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(label(tr("What changed"), "heading"))
        column.addWidget(self.changed)
        column.addWidget(self.notes)
        column.addStretch(1)

    def show_first(self) -> None:
        self.prediction.ask(
            tr("Short answers are preferred. What becomes of SmolLM2's?"),
            [tr("Nothing"), tr("Short"), tr("Nonsense")],
        )
        self._show()

    def _reveal(self) -> None:
        before, after = self._sides()
        self.prediction.reveal(
            tr(
                "From {a:.0f} words to {b:.0f} on average, over {n} questions that no ranking has.",
                a=words_of(before), b=words_of(after), n=len(before),
            )
        )  # fmt: skip
        self._show()

    def _sides(self) -> tuple[list[str], list[str]]:
        return [one[1] for one in self.answers], [one[2] for one in self.answers]

    def choose(self, row: int) -> None:
        """Show the answers to another question."""
        self._row = row
        self._show()

    def _show(self) -> None:
        hidden = self.prediction.asking
        _, before, after = self.answers[min(self._row, len(self.answers) - 1)]
        self.texts[0].setPlainText(before.strip())
        self.texts[1].setPlainText("…" if hidden else after.strip())
        self.table.set_rows(
            [
                (asked, f"{len(one.split())}", "" if hidden else f"{len(other.split())}")
                for asked, one, other in self.answers
            ],
            self._row,
        )
        self._show_changes()
        plan = self.said["plan"]
        self.about.setText(
            tr(
                "DPO (NLL × {nll:g}) with LoRA of rank {rank} beside SmolLM2-135M, on {n} rankings of our "
                "own: {steps} steps of {batch}. It took {time} when it was recorded, on one of {p} "
                "processors, with other programs at work.",
                rank=plan["method"]["rank"], nll=plan["method"]["nll"], n=52, steps=plan["settings"]["steps"],
                batch=plan["settings"]["batch"], time=duration(self.said["seconds"]),
                p=self.said["processors"],
            )
        )  # fmt: skip
        last = self.said["last"]
        self.notes.setText(
            tr(
                "At the end the margin is {margin:.1f} nats and {accuracy:.0%} of the pairs are told right; "
                "without the NLL term and with three passes instead of two it is {other:.1f}, and the "
                "answers have {words:.0f} words. Read the answers, not the margin: short is not yet "
                "right. The last sentence that every better answer has (“{closing}”) was not learned. A "
                "recording of {date}, one run each, seed {seed}; {n} questions. Made by: {command}",
                other=self.runs[1]["last"]["rewards/margins"], closing=CLOSING,
                words=words_of([one[2] for one in self.runs[1]["answers"]]),
                margin=last["rewards/margins"], accuracy=last["rewards/accuracies"],
                date=self.said["date"], seed=plan["settings"]["seed"], n=len(self.answers),
                command=self.said["command"],
            )
        )  # fmt: skip

    def _show_changes(self) -> None:
        sides = [self._sides()[0]] if self.prediction.asking else list(self._sides())
        rows = [
            (tr("Words, mean"), *(f"{words_of(side):.1f}" for side in sides)),
            (tr("Have our last sentence"), *(f"{_ending(side)}" for side in sides)),
            (tr("Cut off at the limit"), *(f"{_cut(side)}" for side in sides)),
            (tr("Repeat a phrase"), *(f"{_repeating(side)}" for side in sides)),
            (tr("The same as before"), "", f"{sum(a == b for a, b in zip(*self._sides(), strict=True))}"),
        ]
        self.changed.set_rows([(*row, "", "")[:3] for row in rows])
        self.changed.fit_height()

    def set_up(self) -> None:
        """Choose the plan on the page Run."""
        self.lab.run.form.choose_preset("smollm2")
        self.lab.frame.show_page("run")

    def read(self) -> None:
        """Show the rankings."""
        self.lab.frame.show_page("data")
        self.lab.data.choose("rankings")

    def take_focus(self) -> None:
        self.table.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Answers before and after"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"row": self._row}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("row"), int) and 0 <= state["row"] < len(self.answers):
            self._row = state["row"]
        self._reveal()


def _ending(texts: list[str]) -> int:
    return sum(text.strip().endswith(CLOSING) for text in texts)


def _repeating(texts: list[str]) -> int:
    """Answers in which a phrase between two stops comes three times.

    >>> _repeating(["You can't. You can't. You can't.", "Yes. No. Yes."])
    1
    """
    found = [
        [part.strip() for part in re.split(r"[.,!?\n]", text) if len(part.split()) > 1] for text in texts
    ]
    return sum(any(count > 2 for count in Counter(parts).values()) for parts in found)


def _cut(texts: list[str]) -> int:
    """Answers that end in the midst of a sentence.

    >>> _cut(["It is", "It is so."])
    1
    """
    return sum(not text.strip().endswith((".", "!", "?", "”", '"')) for text in texts)
