"""Ablation: pinned heads and MLPs are switched off, one by one; the next token is compared with before.

What to notice: a change says something only beside those of random others. A head with a clear pattern may
not matter at all. Stage: `core.interpret.ablation.ablate`, once for each pin.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.problems import LabError
from core.stages import once
from labapp.labs.attention.cause import Compared, compare_each, say_next
from labapp.labs.attention.matter import MatterView, in_words, named
from labapp.labs.attention.pins import MLP
from labapp.pages import PicturePage
from labapp.runner import Outcome, Slot
from labapp.scenes import read_json
from labapp.widgets.bars import Bar, Bars
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, inset, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import visible
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.attention import AttentionLab

SCENES = ("capital", "white", "opposite", "cat")
TEXT_SHOWN = 140  # characters
SHOWN = 5  # tokens that may come next


class AblationPage(PicturePage):
    """Pins and what is asked on the left; heads among random ones, and the next token, in the middle."""

    def __init__(self, lab: AttentionLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.results: list[Compared] = []
        self._scene: dict[str, Any] | None = None
        self._waiting = False  # for the text of a scene
        self._ids: tuple[int, ...] = ()  # the text that the results are about
        self._build_controls()
        self._build_picture()
        self._build_details()
        lab.pins.changed.connect(self._show_pins)
        lab.heads.looked_at.connect(self._looked_at)
        lab.heads.labeled.connect(self._show_pins)
        self._show_pins()
        self._show_results()

    # Assembly.

    def _build_controls(self) -> None:
        self.scenes = QComboBox()
        self.scenes.addItem(tr("My text and pins"), "")
        for name in SCENES:
            self.scenes.addItem(tr(self._read_scene(name)["title"]), name)
        self.scenes.activated.connect(lambda _: self._scene_chosen())
        self.text = label("", "secondary", wrap=True)
        columns = [Column(tr("Pinned")), Column(tr("Looks at"), stretch=True)]
        self.pins = Table(tr("Pinned heads and MLPs"), columns)
        self.pins.row_chosen.connect(self._pin_chosen)
        self.pin_button = button("", self._pin, tip=tr("The head that the Heads page shows"))
        self.unpin_button = button(tr("Unpin"), self._unpin, tip=tr("Take the chosen row from the list"))
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.pin_button, 1)
        row.addWidget(self.unpin_button)
        self.layer = QSpinBox()
        self.layer.setPrefix(tr("layer "))
        self.layer.setAccessibleName(tr("Layer of the MLP"))
        self.layer.setToolTip(tr("Layers are counted from 0"))
        inset(self.layer)
        self.mlp_button = button(
            tr("Pin MLP"), self._pin_mlp, tip=tr("Switch the MLP of this layer off, beside those of others")
        )
        mlp_row = QHBoxLayout()
        mlp_row.setSpacing(6)
        mlp_row.addWidget(self.mlp_button)
        mlp_row.addWidget(self.layer, 1)
        self.token = QLineEdit()
        self.token.setPlaceholderText(tr("the most probable"))
        self.token.setMaxLength(60)
        self.token.returnPressed.connect(lambda: self.lab.attempt(self.ask))
        self.kind = QComboBox()
        self.kind.addItem(tr("set to zero"), "zero")
        self.kind.addItem(tr("set to its mean"), "mean")
        self.ask_button = button(
            tr("Does it matter?"),
            lambda: self.lab.attempt(self.ask),
            tip=tr("Switch each pin off, and 20 random heads of its layer or other MLPs"),
            role="primary",
        )
        self.controls = controls(
            field(tr("Example"), self.scenes, tr("A text with a head and a token")),
            self.text,
            self.pins,
            row,
            mlp_row,
            field(tr("Token concerned"), self.token, tr("With its space, such as “ cat”")),
            field(
                tr("How it is switched off"),
                self.kind,
                tr("Zero, or the mean over this text, stands for what it says"),
            ),
            self.ask_button,
            grows=self.pins,
        )

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._closed)
        self.matter_title = label("", "heading", wrap=True)
        self.matter = MatterView()
        self.matter.row_chosen.connect(lambda row: self._choose(row))
        legend = label(tr("diamond: the pin, filled where it lies outside; dots: random others"), "small")
        legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.among = card(self.matter_title, self.matter, legend, spacing=4, grows=self.matter)
        self.before, self.after = Bars(tr("Next token, as it is")), Bars(tr("Next token, without it"))
        self.after_title = label("", "heading")
        self.hint = label("", "secondary", wrap=True)
        both = QHBoxLayout()
        both.setSpacing(8)
        title = label(tr("Next token, as it is"), "heading")
        both.addWidget(card(title, self.before, spacing=4, grows=self.before), 1)
        rest = QWidget()  # takes the room of the bars that are not there yet
        rest.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.after_title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        both.addWidget(card(self.after_title, self.hint, self.after, rest, spacing=4, grows=self.after), 1)
        self.picture = QWidget()
        column = QVBoxLayout(self.picture)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.prediction)
        column.addWidget(self.among, 1)
        column.addLayout(both, 1)

    def _build_details(self) -> None:
        self.heading = label("", "heading", wrap=True)
        self.verdict = label("", wrap=True)
        self.table = Table(
            tr("The next token with and without it"),
            [
                Column(tr("Next token"), mono=True, stretch=True),
                Column(tr("as it is"), number=True),
                Column(tr("without"), number=True),
            ],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        for part in (self.heading, self.table, self.verdict):
            column.addWidget(part)
        column.addWidget(
            label(
                tr("Each pin is asked alone, then all together, beside 20 random sets of as many others."),
                "small",
                wrap=True,
            )
        )
        column.addStretch(1)

    # Scenes.

    def _read_scene(self, name: str) -> dict[str, Any]:
        return read_json("scenes", "attention", f"ablation-{name}.json")

    def _scene_chosen(self) -> None:
        if self.scenes.currentData():
            self.open_scene(self.scenes.currentData())

    def open_scene(self, name: str) -> None:
        """Set an example up: its text, pin and token, and its question."""
        self._scene = scene = self._read_scene(name)
        self.scenes.setCurrentIndex(self.scenes.findData(name))
        heads = self.lab.heads
        heads.prediction.close_question()
        self.results = []
        pins = tuple((layer, head) for layer, head in scene["pins"])
        self.lab.pins.set_parts(pins)
        self.token.setText(scene["token"])
        self.kind.setCurrentIndex(self.kind.findData("zero"))
        heads.choose_head(*pins[0])
        heads.show_text(scene["text"])
        self.prediction.ask(tr(scene["question"]), [tr(choice["answer"]) for choice in scene["choices"]])
        self._show_results()

    def _answered(self, index: int) -> None:
        scene, self._scene = self._scene, None
        if scene is not None:
            self.prediction.reveal(tr(scene["choices"][index]["says"]))
            self._ask_when_read(scene["text"])

    def _closed(self) -> None:
        scene, self._scene = self._scene, None
        if scene is not None:
            self._ask_when_read(scene["text"])

    def _ask_when_read(self, text: str) -> None:
        inside, loaded = self.lab.heads.inside, self.lab.heads.loaded
        if loaded is not None and inside is not None:
            self._waiting = inside.ids != tuple(loaded.needed_tokenizer().encode(text, special="all"))
        else:
            self._waiting = True
        if not self._waiting:
            self.lab.attempt(self.ask)

    # Pins and text, from the Heads page.

    def shown(self) -> None:
        self._looked_at()

    def _looked_at(self) -> None:
        heads = self.lab.heads
        layer, head = heads.grid.chosen
        self.pin_button.setText(tr("Pin {layer}.{head}", layer=layer, head=head))
        text = heads.text.toPlainText()
        shown = text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}…"
        self.text.setText(f"“{shown}”")
        if heads.inside is None:
            return
        self.layer.setMaximum(heads.inside.model.config.layers - 1)
        if heads.inside.ids != self._ids:
            self._ids = heads.inside.ids
            self.results = []
            self._ask_next()
            self._show_results()
            if self._waiting:
                self._waiting = False
                self.lab.attempt(self.ask)
        self._show_pins()

    def _pin(self) -> None:
        self.lab.pins.pin(self.lab.heads.grid.chosen)

    def _unpin(self) -> None:
        row = self.pins.currentIndex().row()
        if 0 <= row < len(self.lab.pins.parts):
            self.lab.pins.pin(self.lab.pins.parts[row], False)

    def _pin_mlp(self) -> None:
        self.lab.pins.pin((self.layer.value(), MLP))

    def _pin_chosen(self, row: int) -> None:
        part = self.lab.pins.parts[row]
        if part[1] != MLP:
            self.lab.heads.choose_head(*part)
        at = [result.heads for result in self.results]
        if (part,) in at:
            self._choose(at.index((part,)))

    def _show_pins(self) -> None:
        heads = self.lab.heads
        rows = []
        for at in self.lab.pins.parts:
            called = heads.label_of(at)
            looks = tr("no tokens: it is an MLP") if at[1] == MLP else ""
            rows.append((named([at]), heads.titles[called[0]] if called else looks))
        if rows != [tuple(self.pins.rows.row(i)) for i in range(self.pins.rows.rowCount())]:
            self.pins.set_rows(rows)
        pins = self.lab.pins.parts
        kept = [r for r in self.results if (len(r.heads) == 1 and r.heads[0] in pins) or r.heads == pins]
        if len(kept) != len(self.results):
            self.results = kept
            self._show_results()
        self.unpin_button.setEnabled(bool(rows))

    # Asking.

    def _ask_next(self) -> None:
        """What does the model say next, as it is?"""
        loaded, inside = self.lab.heads.loaded, self.lab.heads.inside
        if loaded is not None and inside is not None:
            stage = partial(once, partial(say_next, loaded, inside, SHOWN))
            self.lab.ask("next", stage, tr("Asking for the next token"), self._show_next)

    def _show_next(self, rows: tuple[tuple[str, float], ...]) -> None:
        if not self.results:
            first = rows[0][0]
            self.before.set_bars([Bar(name, p, f"{100 * p:.1f} %", name == first) for name, p in rows])

    def ask(self) -> None:
        """Ask of every pin whether it matters.

        Raises:
            LabError: Nothing is pinned, or the token is not one.
        """
        loaded, inside = self.lab.heads.loaded, self.lab.heads.inside
        if loaded is None or inside is None:
            raise LabError(tr("No text is read yet."), tr("Type a text on the Heads page."))
        pins, kind, token = self.lab.pins.parts, self.kind.currentData(), self.token.text()
        if not pins:
            self.lab.pins.pin(self.lab.heads.grid.chosen)
            pins = self.lab.pins.parts
        self._ids, self.results = inside.ids, []
        self._show_results()
        self.context.runner.start(
            Slot(self.lab.name, "pins"),
            lambda: compare_each(loaded, inside.ids, pins, kind, token),
            title=tr("Switching off"),
            on_events=self._on_events,
            on_end=self._on_end,
        )

    def _on_events(self, events: list[Any]) -> None:
        found = [event for event in events if isinstance(event, Compared)]
        if found:
            self.results += found
            self._show_results()

    def _on_end(self, outcome: Outcome) -> None:
        self.lab.show_failure(outcome)

    def _choose(self, row: int) -> None:
        self.matter.choose(row)
        self._show_result()

    def _show_results(self) -> None:
        self.matter.set_results(self.results)
        self.among.setVisible(bool(self.results))
        self.hint.setVisible(not self.results)
        if self.results:
            token = visible(self.results[0].token)
            self.matter_title.setText(tr("Change of log p(“{token}”) without it, nats", token=token))
        elif self.prediction.asking:
            self.hint.setText(tr("Predict first; then it is switched off."))
        else:
            self.hint.setText(tr("Pin heads or MLPs, and ask whether they matter."))
        self._show_result()

    def _show_result(self) -> None:
        result = self.results[self.matter.at] if self.results else None
        for widget in (self.table, self.verdict, self.after):
            widget.setVisible(result is not None)
        if result is None:
            self.heading.setText("")
            self.after_title.setText(tr("Without it"))
            return
        without = tr("Without {heads}", heads=named(result.heads))
        self.heading.setText(without)
        self.after_title.setText(without if len(result.heads) < 3 else tr("Without all of them"))
        token = visible(result.token)
        before = [(name, p) for name, p, _ in result.rows]
        after = [(name, p) for name, _, p in result.rows]
        for bars, rows in ((self.before, before), (self.after, after)):
            rows.sort(key=lambda row: -row[1])
            bars.set_bars([Bar(name, p, f"{100 * p:.1f} %", name == token) for name, p in rows])
        self.table.set_rows(
            [(row[0], f"{100 * row[1]:.1f} %", f"{100 * row[2]:.1f} %") for row in result.rows]
        )
        self.table.fit_height()
        self.verdict.setText(in_words(result))

    # State, pictures.

    def take_focus(self) -> None:
        self.ask_button.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Do these matter?"): self.picture}

    def numbers(self) -> Numbers:
        rows = [
            (
                named(result.heads),
                f"{result.change:.3f}",
                f"{result.band[0]:.3f}",
                f"{result.band[1]:.3f}",
                tr("outside") if result.outside else tr("inside"),
            )
            for result in self.results
        ]
        return (tr("Without"), tr("change, nats"), tr("random from"), tr("to"), tr("band")), rows

    def save_state(self) -> dict[str, Any]:
        return {"token": self.token.text(), "kind": self.kind.currentData()}

    def restore_state(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("token"), str):
            self.token.setText(state["token"][:60])
        if state.get("kind") in ("zero", "mean"):
            self.kind.setCurrentIndex(self.kind.findData(state["kind"]))
