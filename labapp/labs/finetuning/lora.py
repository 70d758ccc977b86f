"""LoRA opened up: a matrix, what the adapter adds to it, and what is left of that at a lower rank.

Stages: `core.training.lora_view.open_adapter`, `core.training.speakers.answer`.
What to notice: few singular values carry the change; at rank 0 the model is what it was.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QSlider, QVBoxLayout, QWidget

from core.problems import LabError
from core.stages import once, pass_on
from core.training.finetune_folders import finetuned_checkpoints, is_adapter
from labapp.labs.finetuning.models import KIND
from labapp.pages import LabPage
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.matrix_map import MatrixMap
from labapp.widgets.parts import WholeLabel, button, card, controls, field, label
from labapp.widgets.picker import Choice, Picker, artifact_choices
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.lora_view import Opened, OpenedAdapter
    from labapp.labs.finetuning import FinetuningLab

SHIPPED = "shipped"
TILES = 96  # rows and columns of a map at most
QUESTION = "What is the capital of France?"


def adapter_place(key: str) -> str:
    """The folder of an adapter: the shipped one, or a path."""
    if key == SHIPPED:
        return str(Path(str(importlib.resources.files("resources"))) / "finetuning" / "adapter")
    return key


def asked_at(opened: OpenedAdapter, rank: int, prompt: str) -> Iterator[Any]:
    """The stage: the model answers with the adapter at a rank."""
    from core.training.lora_view import speaker_at
    from core.training.speakers import answer

    yield from answer(speaker_at(opened, rank), prompt)


class LoraPage(LabPage):
    """Three maps, the singular values, and what the model answers at the chosen rank."""

    def __init__(self, lab: FinetuningLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.key = SHIPPED
        self.opened: OpenedAdapter | None = None
        self.at: Opened | None = None
        self.matrix = ""
        self.texts: dict[int, str] = {}  # by rank, to the question that stands in the line
        self._build_controls()
        self._build_picture()
        self._build_details()

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Adapter"), self._choices)
        self.picker.picked.connect(self.choose)
        self.picker.set_title(tr("Shipped: SFT of the base model"))
        self.matrix_picker = Picker(tr("Matrix"), self._matrices)
        self.matrix_picker.picked.connect(self.choose_matrix)
        self.matrix_picker.set_title(tr("Matrix"))
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.valueChanged.connect(lambda _: self._moved())
        self.rank_says = label("", "", wrap=True)
        self.question = QLineEdit(QUESTION)
        self.question.setMaxLength(2000)
        self.question.returnPressed.connect(self.ask)
        self.ask_button = button(
            tr("Ask at this rank"), self.ask, tip=tr("Let the model answer with the adapter at this rank"),
            role="primary",
        )  # fmt: skip
        self.off_button = button(
            tr("Take it off"), lambda: self.slider.setValue(0), tip=tr("Rank 0: the model as it was")
        )
        self.on_button = button(
            tr("Put it on"), lambda: self.slider.setValue(self.slider.maximum()), tip=tr("The whole adapter")
        )
        row = QHBoxLayout()
        row.addWidget(self.off_button)
        row.addWidget(self.on_button)
        self.merge_button = button(
            tr("Merge and keep"), self.merge,
            tip=tr("Add s · B A into the weights and keep the result as a model of the workspace"),
        )  # fmt: skip
        self.controls = controls(
            field(tr("Adapter"), self.picker, tr("The shipped one, kept ones, and checkpoints of runs")),
            field(tr("Matrix"), self.matrix_picker, tr("A matrix that has thin ones beside it")),
            field(tr("Rank"), self.slider, tr("The largest singular values are kept, so many")),
            self.rank_says, row, field(tr("Question"), self.question, tr("Enter asks it")), self.ask_button,
            self.merge_button,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.heading = WholeLabel("", "heading")
        self.maps = [MatrixMap(tr("W, which stays")), MatrixMap(tr("s · B A, learned")),
                     MatrixMap(tr("W + s · B A"))]  # fmt: skip
        row = QHBoxLayout()
        row.setSpacing(12)
        for one in self.maps:
            row.addWidget(one, 1)
        self.bars = Bars(tr("Singular values of s · B A"))
        self.answer = QPlainTextEdit()
        self.answer.setReadOnly(True)
        self.answer.setTabChangesFocus(True)
        self.answer.setAccessibleName(tr("Answers by rank"))
        self.answer.setToolTip(tr("What the model answers, always with the most probable token"))
        low = QHBoxLayout()
        low.setSpacing(8)
        low.addWidget(card(label(tr("Singular values"), "heading"), self.bars, spacing=4, grows=self.bars), 1)
        low.addWidget(
            card(label(tr("Answers by rank"), "heading"), self.answer, spacing=4, grows=self.answer), 1
        )
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        maps = QWidget()
        maps.setLayout(row)
        layout.addWidget(card(maps, margin=10, grows=maps), 3)
        layout.addLayout(low, 2)

    def _build_details(self) -> None:
        self.numbers = Table(
            tr("The adapter in numbers"),
            [Column(tr("Measure"), stretch=True), Column(tr("Value"), number=True)],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(label(tr("In numbers"), "heading"))
        column.addWidget(self.numbers, 1)
        column.addWidget(
            label(
                tr(
                    "In the maps a pixel stands for a tile of numbers, and shows the one that is farthest "
                    "from 0. Each map has its own scale, written below it."
                ),
                "small", wrap=True,
            )
        )  # fmt: skip

    # Choosing.

    def _choices(self) -> list[Choice]:
        found = [Choice(SHIPPED, tr("Shipped: SFT of the base model"), tr("With LLM Lab"))]
        found += artifact_choices(self.context.workspace, "adapter")
        for info in self.context.workspace.works(KIND):
            found += [
                Choice(str(place), tr("{run}, step {n:,}", run=info.name, n=step), tr("Checkpoints of runs"))
                for step, place in reversed(finetuned_checkpoints(info.folder))
                if is_adapter(place)
            ]
        return found

    def _matrices(self) -> list[Choice]:
        names = list(self.opened.names) if self.opened is not None else []
        return [Choice(name, name) for name in names]

    def shown(self) -> None:
        if self.opened is None:
            self.choose(self.key)

    def choose(self, key: str) -> None:
        """Open an adapter."""
        self.lab.attempt(self._choose, key)

    def _choose(self, key: str) -> None:
        kind, _, id_ = key.partition(":")
        place = str(self.context.workspace.artifact(id_).folder) if kind == "artifact" else adapter_place(key)

        def stage() -> Iterator[Any]:
            from core.training.lora_view import open_adapter

            return open_adapter(place)

        def took(opened: OpenedAdapter) -> None:
            self.key, self.opened, self.texts = key, opened, {}
            title = next((one.title for one in self._choices() if one.key == key), Path(place).name)
            self.picker.set_title(title)
            self.slider.blockSignals(True)
            self.slider.setRange(0, opened.adapter.rank)
            self.slider.setValue(opened.adapter.rank)
            self.slider.blockSignals(False)
            names = list(opened.names)
            self.choose_matrix(self.matrix if self.matrix in names else names[0])
            self.ask()

        self.lab.ask("adapter", stage, tr("Opening the adapter"), took)

    def choose_matrix(self, name: str) -> None:
        """Show another matrix."""
        self.matrix = name
        self.matrix_picker.set_title(name)
        self._moved()

    def _moved(self) -> None:
        opened, name, rank = self.opened, self.matrix, self.slider.value()
        if opened is None:
            return

        def at() -> Any:
            from core.training.lora_view import opened_at, pooled

            made = opened_at(opened, name, rank)
            maps = [pooled(m, TILES) for m in (made.weight, made.change, made.weight + made.change)]
            return made, maps

        self.lab.ask("matrix", lambda: once(at), tr("Opening a matrix"), self._show)

    def ask(self) -> None:
        """Let the model answer with the adapter at this rank."""
        self.lab.attempt(self._ask)

    def _ask(self) -> None:
        opened, rank, prompt = self.opened, self.slider.value(), self.question.text().strip()
        if opened is None or not prompt:
            return
        ranks = [rank] if self.texts else sorted({rank, 0})

        def stage() -> Iterator[Any]:
            from core.stages import Finished

            answers = {}
            for one in ranks:
                answers[one] = yield from pass_on(asked_at(opened, one, prompt))
            yield Finished("", answers)

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self.texts |= outcome.finished.result
                self._show_answers()
            self.lab.show_failure(outcome)

        if prompt != getattr(self, "_asked", ""):
            self.texts, self._asked = {}, prompt
            ranks = sorted({rank, 0})
        self.context.runner.start(
            Slot(self.lab.name, "lora-answer"), stage, title=tr("Answering"), on_events=lambda events: None,
            on_end=end,
        )  # fmt: skip

    # What is shown.

    def _show(self, made: tuple[Opened, list[Any]]) -> None:
        at, maps = made
        self.at = at
        opened = self.opened
        if opened is None:
            return
        shape = tr("{a:,} × {b:,}", a=at.weight.shape[0], b=at.weight.shape[1])
        for one, values in zip(self.maps, maps, strict=True):
            one.set_matrix(values, float(abs(values).max()) if values.size else 0.0, shape)
        self.heading.setText(at.name)
        self.heading.setToolTip(at.name)
        self.bars.set_bars(
            [Bar(f"{n}", value, f"{value:.3g}", strong=n <= at.rank) for n, value in enumerate(at.values, 1)]
        )
        self.rank_says.setText(
            tr("The adapter is off.") if not at.rank
            else tr("Rank {n} keeps {share:.1f} % of the change.", n=at.rank, share=100 * at.kept)
        )  # fmt: skip
        rank = opened.adapter.rank
        rows, columns = at.weight.shape
        numbers = rank * (rows + columns)
        self.numbers.set_rows(
            [
                (tr("W"), shape),
                (tr("A"), f"{rank} × {columns:,}"),
                (tr("B"), f"{rows:,} × {rank}"),
                (tr("Numbers of A and B"), f"{numbers:,}"),
                (tr("… against those of W"), f"{numbers / (rows * columns):.1%}"),
                (tr("s = alpha / rank"), f"{opened.adapter.scale:g}"),
                (tr("Rank shown"), f"{at.rank} / {rank}"),
                (tr("Change kept"), f"{at.kept:.1%}"),
                (tr("Length of s · B A / W"), f"{at.ratio:.3f}"),
                (tr("Matrices with an adapter"), f"{len(opened.names):,}"),
                (tr("Numbers of the adapter"), f"{opened.adapter.numbers:,}"),
            ]
        )

    def _show_answers(self) -> None:
        lines = []
        for rank, text in sorted(self.texts.items(), reverse=True):
            name = tr("off") if not rank else tr("rank {n}", n=rank)
            lines.append(f"{name}: {text.strip()}")
        self.answer.setPlainText("\n\n".join(lines))

    # Merging.

    def merge(self) -> None:
        """Keep the model with the adapter added into its weights."""
        self.lab.attempt(self._merge)

    def _merge(self) -> None:
        opened, rank = self.opened, self.slider.value()
        if opened is None or not rank:
            raise LabError(tr("The adapter is off: there is nothing to merge."), tr("Put it on first."))
        workspace, name = self.context.workspace, tr("Merged: {name}", name=self.picker.title)

        def stage() -> Any:
            from core.training.merging import publish_merged

            return once(lambda: publish_merged(workspace, opened, rank, name[:200]))

        def told(artifact: Any) -> None:
            self.context.published(artifact)
            self.lab.frame.messages.show_note(tr("“{name}” is a model of the workspace now.", name=name))

        self.lab.ask("merge", stage, tr("Merging"), told)

    def take_focus(self) -> None:
        self.slider.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("A matrix and its change"): self.picture}

    def save_state(self) -> dict[str, Any]:
        return {"adapter": self.key, "matrix": self.matrix, "question": self.question.text()}

    def restore_state(self, state: dict[str, Any]) -> None:
        for name in ("adapter", "matrix", "question"):
            if not isinstance(state.get(name), str):
                return
        if any(choice.key == state["adapter"] for choice in self._choices()):
            self.key = state["adapter"]
        self.matrix = state["matrix"]
        self.question.setText(state["question"])
