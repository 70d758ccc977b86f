"""Heads: a text, all heads of a model as small pictures, one of them large, one pair of tokens taken apart.

Stages: `core.interpret.reading.read_text` reads the text and measures every head; patterns, pairs and
searches are asked of what it read. Nothing is computed on the window's thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QPlainTextEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from core.stages import Finished, once
from labapp.labs.attention.cause import CausePanel, Compared, compare
from labapp.labs.attention.grid import Head, HeadGrid
from labapp.labs.attention.pattern import PatternView
from labapp.memory import give_memory_back
from labapp.pages import PicturePage
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.model_picker import FIRST, ModelPicker
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import WholeLabel, card, controls, field, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from core.interpret.inside import Inside
    from core.interpret.reading import HeadSeen, PairSeen
    from core.model.shelf import LoadedModel
    from labapp.labs.attention import AttentionLab

TYPING = 500  # ms without a key after which the text is read
STRONGEST = 8  # heads in the table
BARS_FROM = 480  # px of height from which there is room for them
TABLE_AT_MOST = 100  # tokens of a pattern that is shown as a table
BARS = 4  # tokens that the chosen one looks at
MANY = 2_000  # tokens of a text that takes memory worth giving back while it is read
LONGEST = 200_000  # characters of a text that the editor takes


class Room(QWidget):
    """The middle of the page: the bars under the pattern go where it needs their room."""

    def __init__(self, bars: list[QWidget]) -> None:
        super().__init__()
        self._bars = bars
        self.wanted = True  # whether the bars may be shown at all

    def fit(self) -> None:
        """Show or hide the bars."""
        for bar in self._bars:
            bar.setVisible(self.wanted and self.height() >= BARS_FROM)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()


class HeadsPage(PicturePage):
    """Text and search on the left; the grid and one pattern in the middle; one pair on the right."""

    looked_at = Signal()  # another text, head or pair is in view
    labeled = Signal()  # heads have other names

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.loaded: LoadedModel | None = None
        self.inside: Inside | None = None
        self.tokens: list[str] = []
        self.scores: dict[Head, dict[str, float]] = {}
        self.titles: dict[str, str] = {}
        self._probe: dict[Head, dict[str, float]] = {}
        self._wanted_head: Head = (0, 0)
        self._wanted_pair: tuple[int, int] | None = None
        self._scene: dict[str, Any] | None = None
        self.pair: PairSeen | None = None
        self._between: Any = None  # weight of the pair in every head, shape (layers, heads)
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING)
        self._typing.timeout.connect(self.read)

    # Assembly.

    def _build_controls(self) -> None:
        self.picker = ModelPicker(tr("Model"), self.context, self.lab.name)
        self.picker.chosen.connect(self._model_chosen)
        self.text = QPlainTextEdit()
        self.text.setFixedHeight(76)
        self.text.setTabChangesFocus(True)
        self.text.textChanged.connect(lambda: self._typing.start())
        self.counted = label("", "small")
        self.looks_from, self.looks_to = QComboBox(), QComboBox()
        for box, what in (
            (self.looks_from, tr("The token that looks")),
            (self.looks_to, tr("The token looked at")),
        ):
            box.setToolTip(what)
            box.setAccessibleName(what)
            box.setMinimumWidth(40)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.activated.connect(lambda _: self._search_chosen())
        pair = QHBoxLayout()
        pair.setSpacing(6)
        pair.addWidget(self.looks_from, 1)
        pair.addWidget(label("→", "secondary"))
        pair.addWidget(self.looks_to, 1)
        self.only = QComboBox()
        self.only.setAccessibleName(tr("Which heads are shown"))
        self.only.setToolTip(tr("Show only heads that look so, on this text or on the fixed sentences"))
        self.only.currentIndexChanged.connect(lambda _: self._show_labels())
        self.found = Table(
            tr("Heads that look so, the strongest first"),
            [
                Column(tr("Head")),
                Column(tr("Looks at"), stretch=True),
                Column(tr("Weight"), number=True),
            ],
        )
        self.found.row_chosen.connect(self._found_chosen)
        self._found: list[Head] = []
        self.controls = controls(
            field(tr("Model"), self.picker, tr("Whose heads are shown")),
            field(tr("Text"), self.text, tr("Any text; the heads are read again when you stop typing")),
            self.counted,
            label(tr("Which heads look from … to …?"), "small"),
            pair,
            self.found,
            field(tr("Show"), self.only),
            grows=self.found,
        )

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal(True))
        self.grid = HeadGrid()
        self.grid.head_chosen.connect(self.choose_head)
        self.grid_title = label("", "heading")
        self.grid_says = label("", "small")
        self.pattern = PatternView()
        self.pattern.pair_chosen.connect(self.choose_pair)
        self.pattern_title = label("", "heading")
        self.arcs = QCheckBox(tr("Arcs"))
        self.arcs.setToolTip(tr("Draw lines between two columns of tokens instead of the matrix"))
        self.arcs.toggled.connect(self.pattern.show_arcs)
        self.pin = QCheckBox(tr("Pin"))
        self.pin.setToolTip(tr("Keep this head: compare it with others, and ask whether it matters"))
        self.pin.clicked.connect(lambda on: self.lab.pins.pin(self.grid.chosen, on))
        self.lab.pins.changed.connect(self._show_pins)
        head = QHBoxLayout()
        head.addWidget(self.pattern_title, 1)
        head.addWidget(self.pin)
        head.addWidget(self.arcs)
        self.row_title = label("", "heading")
        self.bars = Bars(tr("What the chosen token looks at"))
        self.bars.setFixedHeight(Bars.ROW * BARS)
        left = card(self.grid_title, self.grid, self.grid_says, spacing=4, grows=self.grid)
        says = WholeLabel(tr("rows look, columns are looked at; weights from 0 to 1"), "small")
        right = card(head, says, self.pattern, self.row_title, self.bars, spacing=4, grows=self.pattern)
        both = QSplitter(Qt.Orientation.Horizontal)
        both.setChildrenCollapsible(False)
        both.setHandleWidth(8)
        both.addWidget(left)
        both.addWidget(right)
        both.setStretchFactor(1, 1)
        self.picture = self.room = Room([self.row_title, self.bars])
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(both, 1)

    def _build_details(self) -> None:
        self.pair_title = label("", "heading", wrap=True)
        self.steps = Table(
            tr("From query and key to weight"),
            [Column(tr("Step"), stretch=True), Column(tr("Value"), number=True)],
        )
        self.does = label("", "small", wrap=True)
        self.cause = CausePanel(self.switch_off)
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(self.pair_title)
        column.addWidget(self.steps)
        column.addWidget(self.does)
        column.addSpacing(4)
        column.addWidget(self.cause)
        column.addStretch(1)

    # Model and text.

    def show_first(self) -> None:
        self._fill_only()

    def _model_chosen(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._probe, self._between = {}, None
        config = loaded.source.config
        self.grid.set_shape(config.layers, config.heads)
        self.lab.pins.keep_within(config.layers, config.heads)
        self.grid_title.setText(
            tr("{layers} layers × {heads} heads", layers=config.layers, heads=config.heads)
        )
        self.read()

    def show_text(self, text: str) -> None:
        """Put a text into the editor and read it; the first model is loaded where none is."""
        self.text.setPlainText(text)
        self._typing.stop()
        if self.loaded is None:
            self.picker.pick(self.picker.key or FIRST)
        else:
            self.read()

    def read(self) -> None:
        """Read the text, as it is now."""
        self._typing.stop()
        loaded, text = self.loaded, self.text.toPlainText()[:LONGEST]
        if loaded is None or not text:
            return
        self.lab.frame.messages.clear()
        self.lab.attempt(self._start_reading, loaded, text)

    def _start_reading(self, loaded: LoadedModel, text: str) -> None:
        from core.interpret.reading import read_text

        self.context.runner.start(
            Slot(self.lab.name, "text"),
            lambda: read_text(loaded, text),
            title=tr("Reading the text"),
            on_events=self._on_read,
            on_end=self._on_read_end,
        )

    def _on_read(self, events: list[Any]) -> None:
        from core.interpret.heads import LayerMeasured
        from core.interpret.reading import TextRead

        for event in events:
            match event:
                case TextRead(inside=inside, tokens=tokens):
                    self._take_text(inside, tokens)
                case LayerMeasured(layer=layer):
                    self.grid.set_thumbnails(layer, event.thumbnails.numpy())
                    self._take_scores(layer, event.scores)
                case _:
                    continue
            if len(self.tokens) > MANY:
                give_memory_back()  # what blocks and tiles left between the weights

    def _on_read_end(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self._show_labels()
            self._probe_once()
        self.lab.show_failure(outcome)

    def _take_text(self, inside: Inside, tokens: tuple[bytes, ...]) -> None:
        self.inside = inside
        self.tokens = [name_of(token) for token in tokens]
        self.scores = {}
        self.cause.show_result(None)
        most = inside.model.config.context
        self.counted.setText(tr("{n:,} tokens of at most {most:,}", n=len(tokens), most=most))
        self.pattern.set_tokens(self.tokens)
        for box in (self.looks_from, self.looks_to):
            box.clear()
            box.addItems([f"{i}  {name}" for i, name in enumerate(self.tokens)])
        if self._wanted_pair is None or max(self._wanted_pair) >= len(tokens):
            self._wanted_pair = (len(tokens) - 1, 0)
        self.choose_head(*self._clamped(self._wanted_head))
        self.choose_pair(*self._wanted_pair)

    def _clamped(self, head: Head) -> Head:
        return min(head[0], max(0, self.grid.layers - 1)), min(head[1], max(0, self.grid.heads - 1))

    # Heads.

    def _take_scores(self, layer: int, scores: dict[str, Any]) -> None:
        for name, values in scores.items():
            for head, value in enumerate(values.tolist()):
                if not math.isnan(value):
                    self.scores.setdefault((layer, head), {})[name] = value

    def _probe_once(self) -> None:
        """Measure a new model's heads on the fixed sentences, too; once the text is read."""
        loaded = self.loaded
        if loaded is not None and not self._probe:
            self.lab.ask("probe", lambda: _probe(loaded), tr("Probing the heads"), self._probed)

    def _probed(self, scores: dict[Head, dict[str, float]]) -> None:
        self._probe = scores
        self._show_labels()
        self._fill_found()

    def _fill_only(self) -> None:
        from_measures = [
            ("", tr("all heads")), ("subject", tr("subject")), ("pronoun", tr("pronoun")),
            ("previous", tr("previous token")), ("first", tr("first token")), ("same", tr("same token")),
            ("induction", tr("what came after")), ("local", tr("near tokens")), ("itself", tr("itself")),
        ]  # fmt: skip
        self.titles = dict(from_measures)
        self.only.blockSignals(True)
        for name, title in from_measures:
            self.only.addItem(title, name)
        self.only.blockSignals(False)

    def label_of(self, head: Head) -> tuple[str, float] | None:
        """What a head is called, and the score that earned it."""
        from core.interpret.heads import label_of

        return label_of(self.scores.get(head, {}) | self._probe.get(head, {}))

    def _show_labels(self) -> None:
        labels, faded, wanted = {}, set(), self.only.currentData()
        for layer in range(self.grid.layers):
            for head in range(self.grid.heads):
                named = self.label_of((layer, head))
                if named is not None:
                    labels[layer, head] = f"{self.titles[named[0]]} {named[1]:.2f}"
                if wanted and (named is None or named[0] != wanted):
                    faded.add((layer, head))
        self.grid.set_labels(labels, faded)
        shown = self.grid.layers * self.grid.heads - len(faded)
        self.only.setToolTip(tr("{n:,} heads are shown", n=shown))
        self._show_head_title()
        self.labeled.emit()

    def choose_head(self, layer: int, head: int) -> None:
        """Show one head."""
        self._wanted_head = (layer, head)
        self.grid.choose(layer, head)
        self._show_head_title()
        inside = self.inside
        if inside is None:
            return
        from core.interpret.reading import see_head

        self.cause.show_result(None)
        self.lab.ask("head", lambda: see_head(inside, layer, head), tr("Making the pattern"), self._show_head)
        if self._wanted_pair is not None:
            self._ask_pair(*self._wanted_pair)
        self.looked_at.emit()

    @property
    def place(self) -> tuple[int, int, int, int] | None:
        """Layer, head, the token that looks and the one looked at; None where nothing is read."""
        if self.inside is None or self._wanted_pair is None:
            return None
        (layer, head), (row, column) = self._wanted_head, self._wanted_pair
        return (layer, head, row, column) if row < self.inside.tokens else None

    def _show_pins(self) -> None:
        self.grid.set_pins(self.lab.pins.heads)
        self.pin.setChecked(self.grid.chosen in self.lab.pins.heads)

    def _show_head_title(self) -> None:
        self._show_pins()
        layer, head = self.grid.chosen
        named = self.label_of((layer, head))
        title = tr("Layer {layer}, head {head}", layer=layer, head=head)
        self.pattern_title.setText(title if named is None else f"{title}: {self.titles[named[0]]}")
        scores = self.scores.get((layer, head), {}) | self._probe.get((layer, head), {})
        best = sorted(scores.items(), key=lambda item: -item[1])[:3]
        said = ", ".join(f"{self.titles[name]} {score:.2f}" for name, score in best)
        self.does.setText(
            tr("Looks at: {said}. A name says where it looks, not what it is for.", said=said) if said else ""
        )

    def _show_head(self, seen: HeadSeen) -> None:
        if (seen.layer, seen.head) == self._wanted_head:
            self.pattern.set_weights(seen.weights)

    # Pairs.

    def choose_pair(self, row: int, column: int) -> None:
        """Take one pair of tokens apart, and look for it in all heads."""
        column = min(column, row)
        self._wanted_pair = (row, column)
        self.pattern.choose(row, column)
        for box, token in ((self.looks_from, row), (self.looks_to, column)):
            box.setCurrentIndex(token)
        inside = self.inside
        if inside is None:
            return
        from core.interpret.reading import look_between

        self._ask_pair(row, column)
        self.lab.ask(
            "between",
            lambda: look_between(inside, row, column),
            tr("Looking through the heads"),
            self._show_found,
        )
        self.looked_at.emit()

    def _ask_pair(self, row: int, column: int) -> None:
        from core.interpret.reading import see_pair

        inside, (layer, head) = self.inside, self._wanted_head
        if inside is not None and row < inside.tokens:
            self.lab.ask(
                "pair",
                lambda: once(lambda: see_pair(inside, layer, head, row, column)),
                tr("Taking the pair apart"),
                self._show_pair,
            )

    def _search_chosen(self) -> None:
        self.choose_pair(self.looks_from.currentIndex(), self.looks_to.currentIndex())

    def _show_pair(self, pair: PairSeen) -> None:
        self.pair = pair
        if self._wanted_pair is None or self.prediction.asking:
            return
        row, column = self._wanted_pair
        if row >= len(self.tokens):
            return
        a, b = self.tokens[row], self.tokens[column]
        self.pair_title.setText(tr("“{a}” looks at “{b}” with {w:.2f}", a=a, b=b, w=pair.weight))
        self.steps.set_rows(
            [
                (tr("q · k"), f"{pair.product:.2f}"),
                (tr("÷ √d = ÷ {root:.3g}", root=pair.root), f"{pair.score:.2f}"),
                (tr("softmax over {n:,} tokens", n=pair.among), f"{pair.weight:.3f}"),
            ]
        )
        height = self.steps.horizontalHeader().sizeHint().height()
        self.steps.setFixedHeight(height + 3 * self.steps.verticalHeader().defaultSectionSize() + 4)
        best = np.argsort(pair.row)[::-1][:BARS].tolist()
        self.row_title.setText(tr("“{a}” looks at", a=a))
        self.bars.set_bars(
            [Bar(self.tokens[i], pair.row[i], f"{pair.row[i]:.2f}", i == column) for i in best]
        )

    def _show_found(self, weights: Any) -> None:
        self._between = weights
        self._fill_found()

    def _fill_found(self) -> None:
        weights = self._between
        if self._wanted_pair is None or weights is None:
            return
        order = np.argsort(weights, axis=None)[::-1][:STRONGEST]
        self._found = [(int(i) // weights.shape[1], int(i) % weights.shape[1]) for i in order]
        rows = []
        for head in self._found:
            named = self.label_of(head)
            does = self.titles[named[0]] if named else ""
            rows.append((f"{head[0]}.{head[1]}", does, f"{float(weights[head]):.2f}"))
        if self.prediction.asking:
            return
        self.found.set_rows(rows)
        self.grid.set_pair(weights)
        row, column = self._wanted_pair
        self.grid_says.setText(tr("weight “{a}” → “{b}”", a=self.tokens[row], b=self.tokens[column]))

    def _found_chosen(self, row: int) -> None:
        if row < len(self._found):
            self.choose_head(*self._found[row])

    # Cause.

    def switch_off(self, kind: str) -> None:
        """Compare the next token with and without the chosen head."""
        loaded, inside = self.loaded, self.inside
        if loaded is None or inside is None:
            return
        heads = (self._wanted_head,)
        self.lab.ask(
            "cause",
            lambda: compare(loaded, inside.ids, heads, kind),
            tr("Switching the head off"),
            self._show_cause,
        )

    def _show_cause(self, result: Compared) -> None:
        self.cause.show_result(result)

    # Scene, state, pictures.

    def show_scene(self, scene: dict[str, Any]) -> None:
        """Set a scene up: its text, head and pair, and its question."""
        self._scene = scene
        self._wanted_head = (scene["layer"], scene["head"])
        self._wanted_pair = (scene["row"], scene["column"])
        self._reveal(False)
        self.prediction.ask(tr(scene["question"]), [tr(choice["answer"]) for choice in scene["choices"]])
        self.show_text(scene["text"])

    def _answered(self, index: int) -> None:
        scene = self._scene
        if scene is None:
            return
        self._scene = None
        self.prediction.reveal(tr(scene["choices"][index]["says"]))
        self._reveal(True)

    def _reveal(self, shown: bool) -> None:
        """Show what answers the question, or keep it back."""
        self.pattern.hide_weights(not shown)
        for widget in (self.steps, self.does, self.cause):
            widget.setVisible(shown)
        self.room.wanted = shown
        self.room.fit()
        if not shown:
            self.pair_title.setText(tr("Predict first; then the weights are shown."))
            self.found.set_rows([])
            self.grid.set_pair(None)
        elif self._wanted_pair is not None and self.inside is not None:
            self.choose_pair(*self._wanted_pair)

    def take_focus(self) -> None:
        self.text.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("All heads"): self.grid, tr("Attention pattern"): self.pattern}

    def numbers(self) -> Numbers:
        if not self.pattern.exact or self.prediction.asking or len(self.tokens) > TABLE_AT_MOST:
            return (), ()
        names = [f"{i} {name}" for i, name in enumerate(self.tokens)]
        rows = [
            (name, *(f"{weight:.3f}" for weight in row))
            for name, row in zip(names, self.pattern.weights.tolist(), strict=True)
        ]
        return (tr("looks at"), *names), rows

    def save_state(self) -> dict[str, Any]:
        return {
            "model": self.picker.key,
            "text": self.text.toPlainText()[:LONGEST],
            "head": list(self._wanted_head),
            "pair": list(self._wanted_pair) if self._wanted_pair else None,
            "arcs": self.arcs.isChecked(),
            "pins": self.lab.pins.as_json(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        self._fill_only()
        head, pair = state.get("head"), state.get("pair")
        if isinstance(head, list) and len(head) == 2 and all(type(n) is int and n >= 0 for n in head):
            self._wanted_head = (head[0], head[1])
        if isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair):
            self._wanted_pair = (pair[0], pair[1])
        if isinstance(state.get("text"), str):
            self.text.setPlainText(state["text"][:LONGEST])
            self._typing.stop()
        self.arcs.setChecked(state.get("arcs") is True)
        self.lab.pins.restore(state.get("pins"))
        key = state.get("model")
        if isinstance(key, str) and key.partition(":")[0] in ("known", "artifact", "file"):
            self.picker.pick(key)
        else:
            self.picker.pick(FIRST)


def name_of(token: bytes) -> str:
    """A token's name beside a matrix: without the space that nearly every word begins with.

    >>> name_of(b" cat"), name_of(b" ")
    ('cat', '␣')
    """
    shown = visible(token)
    return shown[1:] if len(shown) > 1 and shown[0] == "␣" else shown


def _probe(loaded: LoadedModel) -> Iterator[Any]:
    """`core.interpret.heads.probe_heads`, its scores by head."""
    from core.interpret.heads import probe_heads

    tokenizer = loaded.needed_tokenizer()
    for event in probe_heads(loaded.model, tokenizer.encode):
        if not isinstance(event, Finished):
            yield event
            continue
        scores = event.result
        layers, heads = scores.subject.shape
        yield Finished(
            event.reason,
            {
                (n, h): {"subject": float(scores.subject[n, h]), "pronoun": float(scores.pronoun[n, h])}
                for n in range(layers)
                for h in range(heads)
                if scores.n
            },
        )
