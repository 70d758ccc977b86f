"""Senses: one word in many sentences, and how its vectors part as they pass through the layers.

What to notice: at layer 0 all are one row of the table; whether the senses can be told apart is tried by
leaving each sentence out, beside shuffled labels, and not read off a cosine. Stage: `core.embeddings.senses`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.problems import LabError
from core.tokenizer.known import known_tokenizers
from labapp.idle import when_idle
from labapp.labs.embeddings.senses_curves import SenseCurves
from labapp.labs.embeddings.senses_reading import Read, read_senses, split_sentences
from labapp.labs.embeddings.senses_view import SensesView
from labapp.labs.embeddings.tables import signed
from labapp.pages import PicturePage
from labapp.scenes import read_json
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import ViewButtons, button, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel
    from labapp.labs.embeddings import EmbeddingsLab

VIEWS = (
    ("Paths", "Every sentence's word in one plane, layer by layer"),
    ("By layer", "Cosines within and across senses, and how many sentences are told apart"),
)
LONGEST = 40_000  # characters of sentences


class SensesPage(PicturePage):
    """Sentences on the left, their paths or curves in the middle, one sentence and the figures on the
    right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.loaded: LoadedModel | None = None
        self.read: Read | None = None
        self._wanted = False  # the sentences are to be read once the model is there
        self._scene: dict[str, Any] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()

    # Assembly.

    def _build_controls(self) -> None:
        self.picker = ModelPicker(tr("Model"), self.context, self.lab.name)
        self.picker.chosen.connect(self._model_chosen)
        self.samples = QComboBox()
        for title in (tr("bank"), tr("mole"), tr("clue too late"), tr("your own")):
            self.samples.addItem(title)
        self.samples.activated.connect(self.show_sample)
        self.word = QLineEdit()
        self.word.setMaxLength(60)
        self.editor = QPlainTextEdit()
        self.editor.setTabChangesFocus(True)
        self.editor.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.editor.setMinimumHeight(50)
        self.go = button(
            tr("Read the sentences"), self.go_read, tip=tr("Let the model read them"), role="primary"
        )
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(field(tr("Sentences"), self.samples, tr("What is read: a sample, or your own")), 3)
        row.addWidget(field(tr("Word"), self.word, tr("The word that all sentences share")), 2)
        tip = tr("One a line: its sense, a colon, the sentence with the word")
        self.controls = controls(
            field(tr("Model"), self.picker, tr("Who reads the sentences")), row,
            field(tr("Sense: sentence"), self.editor, tip), self.go, grows=self._grower(),
        )  # fmt: skip

    def _grower(self) -> QWidget:
        parent = self.editor.parentWidget()
        return parent if parent is not None else self.editor

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.view = SensesView(tr("Occurrences of the word"))
        self.view.chosen.connect(self.choose)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Layer"))
        self.slider.setToolTip(tr("After how many blocks the word is looked at"))
        self.slider.valueChanged.connect(lambda _: self._show_layer())
        self.layer = label("", "heading")
        self.layer.setMinimumWidth(64)
        self.all_paths = QCheckBox(tr("All paths"))
        self.all_paths.setToolTip(tr("Draw the way of every sentence, not of the chosen one alone"))
        self.all_paths.toggled.connect(lambda _: self._show_layer())
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.layer)
        row.addWidget(self.slider, 1)
        row.addWidget(self.all_paths)
        paths = QWidget()
        column = QVBoxLayout(paths)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view, 1)
        column.addLayout(row)
        self.curves = SenseCurves()
        self.views = QStackedWidget()
        self.views.addWidget(paths)
        self.views.addWidget(self.curves)
        self.head = ViewButtons(VIEWS, self.show_view)
        self.caption = label("", "small", wrap=True)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(card(self.head, self.views, self.caption, margin=10, spacing=6, grows=self.views), 1)

    def _build_details(self) -> None:
        self.heading = label(tr("Nothing is read yet."), "heading", wrap=True)
        self.table = Table(tr("Sentences"), [Column(tr("Sense")), Column(tr("Sentence"), stretch=True)])
        self.table.row_chosen.connect(self.choose)
        self.sentence = label("", "", wrap=True)
        self.warning = label("", "warning", wrap=True)
        self.says = label("", "small", wrap=True)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(6)
        column.addWidget(self.heading)
        column.addWidget(self.table, 1)
        for part in (self.sentence, self.warning, self.says):
            column.addWidget(part)
        column.addStretch()

    def plots_ready(self) -> None:
        self.curves.plots_ready()

    @property
    def plots_there(self) -> bool:
        """Whether the curves can be drawn."""
        return bool(self.curves.plots)

    # What is read.

    def show_first(self) -> None:
        scene = read_json("scenes", "embeddings", "words.json")["senses"]
        self._scene = scene
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self._reveal(False)

    def shown(self) -> None:
        if "labapp.plots" in sys.modules:
            self.plots_ready()
        else:
            when_idle("labapp.plots", self, self.plots_ready)
        if not self.editor.toPlainText():
            self.show_sample(self.samples.currentIndex())

    def show_sample(self, at: int) -> None:
        """Put a sample into the editor; the last choice leaves it as it is, to be changed."""
        from core.embeddings.senses import load_samples, load_too_late

        self.samples.setCurrentIndex(at)
        samples = (*load_samples(), load_too_late())
        if at < len(samples):
            one = samples[at]
            self.word.setText(one.word)
            self.editor.setPlainText(
                "\n".join(
                    f"{one.senses[label_]}: {text}"
                    for text, label_ in zip(one.sentences, one.labels, strict=True)
                )
            )

    def go_read(self) -> None:
        """Read the sentences; the model is loaded first where it is not."""
        if self.loaded is None:
            self._wanted = True
            self.heading.setText(tr("The model is being loaded…"))
            self.picker.pick(self._first_model())
        else:
            self.lab.attempt(self._go_read, self.loaded)

    def _first_model(self) -> str:
        smollm2 = next(known for known in known_tokenizers() if known.name == "smollm2")
        found = [one for one in self.context.workspace.artifacts("model") if one.role == "base"]
        return FIRST if smollm2.available or not found else f"artifact:{found[0].id}"

    def _model_chosen(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        if self._wanted:
            self._wanted = False
            self.go_read()

    def _go_read(self, loaded: LoadedModel) -> None:
        text = self.editor.toPlainText()
        if len(text) > LONGEST:
            raise LabError(
                tr("The sentences have {n:,} characters.", n=len(text)), tr("Give at most {n:,}.", n=LONGEST)
            )
        sentences, senses, labels = split_sentences(text)
        counts = [labels.count(n) for n in range(len(senses))]
        if len(senses) < 2 or min(counts) < 2:
            raise LabError(
                tr("Two senses with two sentences each are needed; there are {n}.", n=len(senses)),
                tr("Begin each line with its sense and a colon."),
            )
        word = self.word.text()
        self.heading.setText(tr("{n} sentences are being read…", n=len(sentences)))
        self.lab.ask(
            "senses", lambda: read_senses(loaded, sentences, word, senses, labels),
            tr("Reading {n} sentences", n=len(sentences)), self._show,
        )  # fmt: skip

    # What is shown.

    def show_view(self, n: int) -> None:
        """Show the paths or the curves."""
        self.head.mark(n)
        self.views.setCurrentIndex(n)
        self.caption.setText(self.summary())

    def _show(self, read: Read) -> None:
        self.read = read
        warned = {n for n, _ in read.found.warnings}
        self.table.set_rows(
            [
                (read.senses[read.labels[n]], ("⚠ " if n in warned else "") + text)
                for n, text in enumerate(read.found.sentences)
            ]
        )
        self.slider.blockSignals(True)
        self.slider.setRange(0, read.found.layers)
        self.slider.setValue(read.told.best_layer)
        self.slider.blockSignals(False)
        self.view.choose(0)
        self.choose(0)
        self._show_layer()
        self.curves.show_read(read)

    def _show_layer(self) -> None:
        read = self.read
        if read is None:
            return
        at, told = self.slider.value(), read.told
        self.layer.setText(tr("layer {n}", n=at))
        self.view.set_paths(
            read.paths.points[: at + 1],
            read.labels,
            read.senses,
            read.found.sentences,
            self.all_paths.isChecked(),
        )
        self.heading.setText(
            tr(
                "Layer {n}: {right} of {all} sentences are told apart",
                n=at,
                right=int(told.right[at]),
                all=told.n,
            )
        )
        self.says.setText(
            tr(
                "Each is left out and given to the sense that it resembles most: {share:.0f} % (95 % "
                "interval {low:.0f} "
                "to {high:.0f} %); with shuffled labels {chance:.0f} %. Best is layer {best}, p = "
                "{p:.3f} against the best "
                "layers of {n} shuffles. Cosines within and across: raw {a} and {b}, {c} and {d} {said}.",
                share=100 * float(told.accuracy[at]),
                low=100 * float(told.low[at]),
                high=100 * float(told.high[at]),
                chance=100 * float(told.shuffled[at]),
                best=told.best_layer,
                p=told.p,
                n=told.shuffles,
                a=signed(float(read.raw.within[at])),
                b=signed(float(read.raw.across[at])),
                c=signed(float(read.centered.within[at])),
                d=signed(float(read.centered.across[at])),
                said=read.centered.said,
            )
        )
        self.curves.mark(at)
        self.caption.setText(self.summary())

    def choose(self, at: int) -> None:
        """Look at one sentence."""
        read = self.read
        if read is None or not 0 <= at < len(read.found.sentences):
            return
        self.view.choose(at)
        self.table.selectionModel().blockSignals(True)
        self.table.selectRow(at)
        self.table.selectionModel().blockSignals(False)
        self.sentence.setText(read.found.sentences[at])
        self.warning.setText(" ".join(text for n, text in read.found.warnings if n == at))
        self.warning.setVisible(bool(self.warning.text()))

    def summary(self) -> str:
        read = self.read
        if read is None or self.prediction.asking:
            return ""
        late = len({n for n, _ in read.found.warnings})
        says = tr(
            "“{word}” in {n} sentences, {layers} layers; {said}.",
            word=read.found.word,
            n=len(read.found.sentences),
            layers=read.found.layers,
            said=read.paths.said if self.views.currentIndex() == 0 else read.centered.said,
        )
        if late:
            says += " " + tr("{n} sentences have a warning: the model cannot know the sense there.", n=late)
        return says

    def numbers(self) -> Numbers:
        read = self.read
        if read is None or self.prediction.asking:
            return (), ()
        rows = [
            (
                str(n),
                f"{read.raw.within[n]:.4f}",
                f"{read.raw.across[n]:.4f}",
                f"{read.centered.within[n]:.4f}",
                f"{read.centered.across[n]:.4f}",
                f"{read.told.accuracy[n]:.3f}",
                f"{read.told.shuffled[n]:.3f}",
            )
            for n in range(read.found.layers + 1)
        ]
        return (
            tr("layer"),
            tr("within, raw"),
            tr("across, raw"),
            tr("within, centered"),
            tr("across, centered"),
            tr("told apart"),
            tr("shuffled"),
        ), rows

    # The scene.

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal(True)
        self.go_read()

    def _reveal(self, shown_: bool) -> None:
        for part in (self.views, self.head, self.table, self.says, self.caption):
            part.setVisible(shown_)
        self.heading.setText(
            tr("Answer first, or close the question.") if not shown_ else tr("Nothing is read yet.")
        )
        if shown_:
            self._show_layer()

    def take_focus(self) -> None:
        self.editor.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        titles = (tr("Occurrences of the word"), tr("By layer"))
        at = self.views.currentIndex()
        return {titles[at]: (self.view, self.curves)[at]}

    def save_state(self) -> dict[str, Any]:
        return {
            "word": self.word.text(),
            "text": self.editor.toPlainText()[:LONGEST],
            "view": self.views.currentIndex(),
            "sample": self.samples.currentIndex(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        word, text, view, sample = (state.get(key) for key in ("word", "text", "view", "sample"))
        if isinstance(word, str) and isinstance(text, str):
            self.word.setText(word[:60])
            self.editor.setPlainText(text[:LONGEST])
        if type(sample) is int and 0 <= sample < self.samples.count():
            self.samples.setCurrentIndex(sample)
        if type(view) is int and 0 <= view < len(VIEWS):
            self.show_view(view)
