"""Inspect: any GGUF file from disk, its metadata, its tensors as a tree, one as a heat map; two at once.

What to notice: the MLP has most of a layer's weights, and a rounded tensor has few different numbers. Stages:
`core.quantization.inspect`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtWidgets import QBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from core.stages import once
from core.tokenizer.known import known_tokenizers
from labapp.labs.quantization.choosing import SourcePicker, Subject, subject_of
from labapp.labs.quantization.page import column, figures, size_text
from labapp.labs.quantization.tensor_tree import TensorTree
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import Resized, ViewButtons, button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.tensor_map import TensorMap, pooled
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.inspect import Inspected, Looked
    from labapp.labs.quantization import QuantizationLab
    from labapp.plots import Plot

LOW = 320  # px of height below which maps and histogram stand side by side
TREE, MAP, FACTS = range(3)
VIEWS = [
    ("Tensors", "All tensors, layer by layer"),
    ("Heat map", "The numbers of the chosen tensor"),
    ("Metadata", "What the file says of itself"),
]
MLP = ("ffn", "mlp", "c_fc", "gate_proj", "up_proj", "down_proj")


class InspectPage(PicturePage):
    """Two files on the left, tree, heat map or metadata in the middle, the chosen tensor on the right."""

    def __init__(self, lab: QuantizationLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.files: list[Inspected | None] = [None, None]
        self.subjects: list[Subject | None] = [None, None]
        self.looked: list[Looked | None] = [None, None]
        self.tensor = ""
        self.histogram: Plot | None = None
        self._view = TREE
        self._scene = read_json("scenes", "quantization", "inspect.json")
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.pickers = []
        for n, title in enumerate((tr("File"), tr("Beside it"))):
            picker = SourcePicker(title, self.context.workspace)
            picker.chosen.connect(lambda key, n=n: self.open(key, n))
            self.pickers.append(picker)
        self.pickers[1].set_title(tr("None"))
        self.alone = button(tr("One file alone"), self.close_second, tip=tr("Put the second file away"))
        self.about = label("", "small", wrap=True)
        self.types = Table(
            tr("Types in the file"),
            [
                Column(tr("Type"), stretch=True), Column(tr("Tensors"), number=True),
                Column(tr("% bytes"), number=True),
            ],
        )  # fmt: skip
        self.controls = controls(
            field(tr("File"), self.pickers[0], tr("Which file is looked into")),
            field(tr("Beside it"), self.pickers[1], tr("A second file, tensor by tensor")),
            self.alone, self.about, self.types, grows=self.types,
        )  # fmt: skip

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._show)
        self.views = ViewButtons(VIEWS, self.show_view)
        self.tree = TensorTree(tr("Tensors, layer by layer"))
        self.tree.chosen.connect(self.choose)
        self.maps = [TensorMap(tr("Numbers of the tensor")), TensorMap(tr("Numbers in the second file"))]
        self.maps_card = card(*self.maps, margin=8)
        self.map_view = Resized(self._fit_maps)
        self._map_column = QBoxLayout(QBoxLayout.Direction.TopToBottom, self.map_view)
        self._map_column.setContentsMargins(0, 0, 0, 0)
        self._map_column.setSpacing(8)
        self._map_column.addWidget(self.maps_card, 3)
        self.facts = Table(
            tr("Metadata"),
            [Column(tr("Key"), mono=True), Column(tr("Type")), Column(tr("Value"), stretch=True)],
        )
        self.facts.row_chosen.connect(self._show_fact)
        self.fact = label("", "small", wrap=True)
        self.stack = QStackedWidget()
        self.tree_card = card(self.tree, margin=8, grows=self.tree)
        self.facts_card = card(self.facts, self.fact, margin=8, grows=self.facts)
        self._shown_as: tuple[QWidget, ...] = (self.tree_card, self.map_view, self.facts_card)
        for view in self._shown_as:
            self.stack.addWidget(view)
        self.caption = label("", "", wrap=True)
        self.picture = column(self.prediction, self.views, self.stack, self.caption, grows=self.stack)

    def _fit_maps(self, height: int) -> None:
        """In a low window the histogram stands beside the maps."""
        low = height < LOW
        self._map_column.setDirection(
            QBoxLayout.Direction.LeftToRight if low else QBoxLayout.Direction.TopToBottom
        )

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.says = label("", "small", wrap=True)
        self.numbers_of = Table(
            tr("The chosen tensor"),
            [
                Column(tr("Figure"), stretch=True), Column(tr("File"), number=True),
                Column(tr("Beside"), number=True),
            ],
        )  # fmt: skip
        self.details = QWidget()
        layout = QVBoxLayout(self.details)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.says)
        layout.addWidget(self.numbers_of, 1)
        layout.addStretch()

    def plots_ready(self) -> None:
        if self.histogram is None:
            from labapp.plots import Plot

            self.histogram = Plot(tr("Spread"), (tr("number"), ""), (tr("numbers in a bin"), ""), whole=False)
            self.histogram.add_curve(tr("file"))
            self.histogram.add_curve(tr("beside it"))
            self._map_column.addWidget(self.histogram, 2)
            self._show_looked()

    # Files.

    def show_first(self) -> None:
        self.prediction.ask(tr(self._scene["question"]), [tr(choice) for choice in self._scene["choices"]])

    def shown(self) -> None:
        if self.subjects[0] is None:
            smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
            self.open("smollm2" if smollm2.available else "smallworld")
        self._show()

    def open(self, key: str, n: int = 0) -> None:
        """Look into a file: the first, or the one beside it."""
        subject = self.lab.attempt(subject_of, self.context.workspace, key)
        if subject is not None:
            self.lab.attempt(self._open, subject, n)

    def _open(self, subject: Subject, n: int) -> None:
        from core.quantization.inspect import inspect_file

        path = subject.there
        self.subjects[n] = subject

        def take(inspected: Inspected) -> None:
            self.files[n], self.looked[n] = inspected, None
            self.pickers[n].show_subject(subject)
            self._take()

        self.lab.ask(f"inspect-{n}", lambda: once(lambda: inspect_file(path)), tr("Reading the header"), take)

    def close_second(self) -> None:
        """Put the second file away."""
        self.files[1] = self.subjects[1] = self.looked[1] = None
        self.pickers[1].key = ""
        self.pickers[1].set_title(tr("None"))
        self._take()

    def _take(self) -> None:
        first = self.files[0]
        if first is not None:
            names = [tensor.name for tensor in first.tensors]
            if self.tensor not in names:
                large = [t.name for t in first.tensors if len(t.shape) > 1]
                self.tensor = next((name for name in large if "down" in name), (large or names or [""])[0])
            self.choose(self.tensor)
        self._show()

    def choose(self, name: str) -> None:
        """Look at a tensor's numbers."""
        self.tensor = name
        self.looked = [None, None]
        for n in (0, 1):
            self._look(n)
        self._show_looked()

    def _look(self, n: int) -> None:
        from core.quantization.inspect import look_at

        file = self.files[n]
        if file is None or self.tensor not in {tensor.name for tensor in file.tensors}:
            return
        name = self.tensor

        def take(looked: Looked) -> None:
            if looked.tensor.name == self.tensor:
                self.looked[n] = looked
                self._show_looked()

        self.lab.attempt(
            self.lab.ask, f"look-{n}", lambda: look_at(file, name), tr("Reading {name}", name=name), take
        )

    # What is shown.

    def show_view(self, view: int) -> None:
        """Show the tree, the heat map or the metadata."""
        self._view = view
        self.views.mark(view)
        if not self.prediction.asking:
            self.prediction.hide()
        self._show()

    def _show(self) -> None:
        asking, first = self.prediction.asking, self.files[0]
        self.stack.setCurrentIndex(TREE if asking else self._view)
        self.views.setVisible(not asking)
        self.alone.setEnabled(self.files[1] is not None)
        self.details.setEnabled(not asking)
        if first is not None:
            self.tree.show_files(first, self.files[1], asking, self.tensor)
            self.about.setText(
                tr("{version}: {n:,} tensors, {weights:,} weights, {size}; {bits:.3f} bits a weight.",
                   version=first.version, n=len(first.tensors), weights=first.numbers,
                   size=size_text(first.file_bytes), bits=8 * first.bytes / max(1, first.numbers))
            )  # fmt: skip
            self.types.set_rows(
                []
                if asking
                else [
                    (kind, f"{n:,}", f"{100 * size / first.bytes:.1f}") for kind, n, _, size in first.types()
                ]
            )
            self.facts.set_rows([(fact.key, fact.type, fact.value) for fact in first.facts])
        self._show_looked()

    def _show_fact(self, row: int) -> None:
        first = self.files[0]
        if first is not None and 0 <= row < len(first.facts):
            self.fact.setText(f"{first.facts[row].key}: {first.facts[row].value}")

    def _show_looked(self) -> None:
        asking = self.prediction.asking
        shown = [looked for looked in self.looked if looked is not None]
        self.numbers_of.setColumnHidden(2, self.files[1] is None)
        self.numbers_of.setVisible(bool(shown) and not asking)
        self.heading.setText(tr("The answer is shown after the question.") if asking else self.tensor)
        self.says.setText("" if asking or self.looked[0] is None else self._rounded(self.looked[0]))
        full = max((float(np.percentile(np.abs(one.matrix.numpy()), 99)) for one in shown), default=1.0)
        for n, looked in enumerate(self.looked):
            self.maps[n].setVisible(looked is not None)
            if looked is not None:
                matrix = looked.matrix.numpy()
                title = f"{looked.tensor.kind}: {looked.tensor.path.name}"
                shape = (int(matrix.shape[0]), int(matrix.shape[1]))
                self.maps[n].set_matrix(title, pooled(matrix), shape, full)
            if self.histogram is not None:
                edges = looked.edges.numpy() if looked is not None else np.zeros(0)
                counts = looked.counts.numpy() if looked is not None else np.zeros(0)
                self.histogram.set_data(self.histogram.series[n], (edges[1:] + edges[:-1]) / 2, counts)
        self.numbers_of.set_rows(self._figure_rows())
        self.caption.setText(self.summary())

    def _rounded(self, looked: Looked) -> str:
        return tr(
            "{n:,} different numbers in its first row of {wide:,}, stored as {kind}.", n=looked.levels,
            wide=looked.matrix.shape[1], kind=looked.tensor.kind,
        )  # fmt: skip

    def _figure_rows(self) -> list[tuple[str, str, str]]:
        def cells(looked: Looked | None) -> list[str]:
            if looked is None:
                return [""] * 8
            tensor = looked.tensor
            return [
                tensor.kind, " × ".join(f"{size:,}" for size in tensor.shape), f"{tensor.size:,}",
                figures(looked.mean), figures(looked.deviation), figures(looked.low), figures(looked.high),
                f"{100 * looked.zeros / tensor.numbers:.2f}",
            ]  # fmt: skip

        names = ("Type", "Shape", "Bytes", "Mean", "Std. deviation", "Lowest", "Highest", "Zeros (%)")
        first, second = cells(self.looked[0]), cells(self.looked[1])
        return [(tr(name), a, b) for name, a, b in zip(names, first, second, strict=True)]

    def mlp_share(self) -> float:
        """The share of the layers' weights that the MLP has, in percent."""
        first = self.files[0]
        inside = [t for layer, tensors in (first.layers() if first else ()) for t in tensors if layer]
        of_mlp = sum(t.numbers for t in inside if any(word in t.name for word in MLP))
        return 100 * of_mlp / max(1, sum(t.numbers for t in inside))

    def summary(self) -> str:
        first, looked = self.files[0], self.looked[0]
        if first is None or self.prediction.asking:
            return ""
        if self._view == MAP and looked is not None:
            return tr(
                "{name}: mean {mean}, standard deviation {sd}, from {low} to {high} (n = {n:,}); each cell "
                "is the number of its tile farthest from zero.",
                name=looked.tensor.name, mean=figures(looked.mean), sd=figures(looked.deviation),
                low=figures(looked.low), high=figures(looked.high), n=looked.tensor.numbers,
            )  # fmt: skip
        if self._view == FACTS:
            return tr("{n:,} lines of metadata in {name}.", n=len(first.facts), name=first.name)
        kind, n, _, size = first.types()[0]
        return tr(
            "{kind} has {share:.1f} % of the bytes, in {n:,} tensors; the MLP has {mlp:.0f} % of the layers.",
            kind=kind, share=100 * size / first.bytes, n=n, mlp=self.mlp_share(),
        )  # fmt: skip

    def _answered(self, index: int) -> None:
        if self.files[0] is None:
            self.prediction.close_question()
            return
        said = tr("Yes.") if index == self._scene["right"] else tr("Not quite.")
        more = tr(str(self._scene["reveal"]), share=self.mlp_share())
        self.prediction.reveal(tr("{said} {more}", said=said, more=more))
        self._show()

    def numbers(self) -> Numbers:
        first = self.files[0]
        if first is None or self.prediction.asking:
            return (), ()
        if self._view == FACTS:
            return (tr("key"), tr("type"), tr("value")), [(f.key, f.type, f.value) for f in first.facts]
        if self._view == MAP and self.looked[0] is not None:
            edges, counts = self.looked[0].edges.tolist(), self.looked[0].counts.tolist()
            return (tr("from"), tr("to"), tr("numbers")), [
                (f"{a:.6g}", f"{b:.6g}", f"{n:.0f}")
                for a, b, n in zip(edges, edges[1:], counts, strict=False)
            ]
        return self.tree.numbers()

    def open_files(self, files: list[Path]) -> None:
        for n, file in enumerate(files[:2]):
            self.open(f"file:{file}", n)

    def take_focus(self) -> None:
        self.tree.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        view = TREE if self.prediction.asking else self._view
        return {tr(VIEWS[view][0]): self._shown_as[view]}

    def save_state(self) -> dict[str, Any]:
        keys = [subject.key if subject is not None else "" for subject in self.subjects]
        return {"files": keys, "view": self._view, "tensor": self.tensor}

    def restore_state(self, state: dict[str, Any]) -> None:
        if type(state.get("view")) is int and 0 <= state["view"] < len(VIEWS):
            self._view = state["view"]
            self.views.mark(self._view)
        if isinstance(state.get("tensor"), str):
            self.tensor = state["tensor"]
        keys = state.get("files")
        for n, key in enumerate(keys[:2] if isinstance(keys, list) else ()):
            if isinstance(key, str) and key:
                self.open(key, n)
