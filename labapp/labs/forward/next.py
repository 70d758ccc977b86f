"""Next token: what the model says comes next, what the filters leave of it, and the text that grows from it.

Stages: `core.model.generation`. A run is one stage, pulled token by token: Step pulls one, Write all. While
it rests, the table shows what may come next; while it writes, what the last token was drawn from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from core.model.settings import GenerationSettings
from core.problems import LabError
from core.settings import describe
from core.stages import once
from labapp.labs.forward.choosing import STEPS, Looked, Taken, choices, look, taken_of
from labapp.labs.forward.distribution import Distribution, Row
from labapp.labs.forward.subject import SubjectPage
from labapp.runner import Job, Outcome, Slot
from labapp.widgets.parts import WholeLabel, button, card, controls, label
from labapp.widgets.prediction import Prediction
from labapp.widgets.slider_field import SliderField
from labapp.widgets.table import Column, Table
from labapp.widgets.token_text import Token, visible
from labapp.widgets.value_chips import ValueChips
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.generation import Reader, Wrote
    from core.model.sampling import Candidates
    from labapp.labs.forward import ForwardLab

MOST = 400  # tokens that one run writes at most
TAIL = 40  # characters of the text in the heading


class NextPage(SubjectPage):
    """Sliders on the left, bars in the middle over the text that was written, numbers on the right."""

    def __init__(self, lab: ForwardLab) -> None:
        super().__init__(lab)
        self.taken: list[Taken] = []
        self.looked: Looked | None = None
        self._reader: Reader | None = None  # of the job that looks
        self._writer: Reader | None = None  # of the job that writes
        self._job: Job | None = None
        self._other: dict[str, float] | None = None
        self._scene: dict[str, Any] | None = None
        self._build_controls()
        self._build_picture()
        self._build_details()
        undo = QShortcut(QKeySequence.StandardKey.Undo, self.picture, self.undo)
        undo.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    # Assembly.

    def _build_controls(self) -> None:
        self.fields: dict[str, SliderField] = {}
        known = {info.name: info for info in describe(GenerationSettings)}
        for name, (steps, off) in STEPS.items():
            self.fields[name] = made = SliderField(
                known[name], steps, None if off is None else (off[0], tr(off[1]))
            )
            made.changed.connect(self._settings_changed)
        self.compare = QCheckBox(tr("Compare with B"))
        self.compare.setToolTip(
            tr("Keep the settings as they are now as B, then change them: both are shown")
        )
        self.compare.toggled.connect(self._compare_toggled)
        self.b_says = label("", "small", wrap=True)
        self.b_says.hide()
        sliders = QVBoxLayout()
        sliders.setSpacing(0)
        for made in self.fields.values():
            sliders.addWidget(made)
        order = WholeLabel(tr("Applied from the top, then drawn"), "small")
        self.controls = controls(self.top, sliders, order, self.compare, self.b_says)

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(lambda: self._reveal())
        self.heading = label("", "heading")
        self.distribution = Distribution()
        self.distribution.taken.connect(self.take)
        self.text = ValueChips(tr("The text, each written token colored by its probability"))
        self.text.setMinimumHeight(56)
        self.text.clicked.connect(self._token_clicked)
        self.step_button = button(tr("Step"), self.step, tip=tr("Draw one token with these settings"))
        self.run_button = button(tr("Write"), self.run, tip=tr("Draw token after token"), role="primary")
        self.stop_button = button(tr("Stop"), self.stop, tip=tr("Stop writing; the text stays"))
        self.undo_button = button(tr("Undo"), self.undo, tip=tr("Take the last token back (Ctrl+Z)"))
        self.clear_button = button(tr("Begin anew"), self.clear, tip=tr("Take all written tokens back"))
        self.path = label(tr("exact path, 32-bit"), "small")
        row = QHBoxLayout()
        row.setSpacing(6)
        for made in (
            self.step_button, self.run_button, self.stop_button, self.undo_button, self.clear_button
        ):  # fmt: skip
            row.addWidget(made)
        row.addStretch(1)
        row.addWidget(self.path)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(card(self.heading, self.distribution, spacing=4, grows=self.distribution), 3)
        layout.addWidget(card(self.text, row, margin=8, spacing=4, grows=self.text), 1)

    def _build_details(self) -> None:
        self.facts = Table(
            tr("What the filters leave"),
            [Column(tr("Step"), stretch=True), Column(tr("Tokens left"), number=True)],
        )
        self.says = label("", "small", wrap=True)
        self.token_title = label("", "heading", wrap=True)
        self.instead = Table(
            tr("What could have stood here"),
            [Column(tr("Instead"), mono=True, stretch=True), Column(tr("Probability"), number=True)],
        )
        self.details = QWidget()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(8)
        column.addWidget(label(tr("What is left to draw from"), "heading"))
        column.addWidget(self.facts)
        column.addWidget(self.says)
        column.addSpacing(6)
        column.addWidget(self.token_title)
        column.addWidget(self.instead)
        column.addStretch(1)
        self._show_token(None)

    # Settings.

    def values(self) -> dict[str, Any]:
        """The settings as the sliders stand."""
        values: dict[str, Any] = {name: made.value for name, made in self.fields.items()}
        return values | {"top_k": int(values["top_k"])}

    def set_settings(self, values: dict[str, float]) -> None:
        """Move sliders."""
        for name, value in values.items():
            if name in self.fields:
                self.fields[name].set_value(value)
        self._settings_changed()

    def _settings(self, values: dict[str, Any] | None = None) -> Any:
        return GenerationSettings(**(values or self.values()), max_tokens=MOST)

    def _settings_changed(self) -> None:
        self._end_run()
        looked = self.looked
        if looked is None:
            return
        ids, a, b = self._all_ids(), self._settings(), self._b()
        self.lab.ask(
            "choose", lambda: once(lambda: choices(looked.logits, ids, a, b)), tr("Choosing"), self._show
        )

    def _b(self) -> Any:
        return None if self._other is None else self._settings(self._other)

    def _compare_toggled(self, on: bool) -> None:
        self._other = self.values() if on else None
        self.b_says.setVisible(on)
        if self._other is not None:
            named = [
                f"{made.slider.accessibleName().lower()} {made.slider.accessibleDescription()}"
                for made in self.fields.values()
            ]
            self.b_says.setText(tr("B: {settings}", settings=", ".join(named)))
        self._settings_changed()

    # The text.

    def take_subject(self) -> None:
        self._end_run()
        self.taken = []
        self.looked = None
        self._reader = self._writer = None
        self._show_token(None)
        self._show_text()
        if not self.subject.ids:
            self.distribution.set_rows([])
            self.heading.setText(tr("Type a text to go on from"))
        self.look()

    def _all_ids(self) -> tuple[int, ...]:
        return (*self.subject.ids, *(each.id for each in self.taken))

    def look(self) -> None:
        """Ask what may come next."""
        loaded, ids = self.subject.loaded, self._all_ids()
        if loaded is None or not ids:
            return
        from core.model.generation import Reader

        reader = self._reader = self._reader or Reader(loaded.model)
        a, b = self._settings(), self._b()
        self.lab.ask("look", lambda: look(reader, ids, a, b), tr("Reading the text"), self._show)

    def take(self, id_: int) -> None:
        """Put a token behind the text by hand."""
        looked = self.looked
        if looked is None or self._writing or self.prediction.asking:
            return
        self._end_run()
        self.taken.append(taken_of(id_, looked.logits, by_hand=True))
        self._after_taking()

    def undo(self) -> None:
        """Take the last token back."""
        self._end_run()
        if self.taken:
            self.taken.pop()
            self._after_taking()

    def clear(self) -> None:
        """Take all tokens back."""
        self._end_run()
        self.taken = []
        self._after_taking()

    def _after_taking(self) -> None:
        self._show_text()
        self.look()

    # Writing.

    @property
    def _writing(self) -> bool:
        return self._job is not None and not self._job.ended and not self._job.paused

    def step(self) -> None:
        """Draw one token."""
        job = self._run()
        if job is not None:
            job.step()

    def run(self) -> None:
        """Draw token after token."""
        job = self._run()
        if job is not None:
            job.resume()
            self._show_buttons()

    def stop(self) -> None:
        """Stop; what was written stays."""
        if self._job is not None:
            self._job.pause()
        self._show_buttons()
        self.look()

    def _run(self) -> Job | None:
        """The job that writes: the one that rests, or a new one."""
        if self.prediction.asking:
            self.prediction.close_question()
        if self._job is None or self._job.ended:
            self.lab.attempt(self._start)
        return self._job

    def _start(self) -> None:
        from core.model.generation import Reader, generate

        loaded, ids = self.subject.loaded, self._all_ids()
        if loaded is None or not ids:
            raise LabError(tr("There is no text to go on from."), tr("Type at least one character."))
        tokenizer = loaded.needed_tokenizer()
        writer = self._writer = self._writer or Reader(loaded.model)
        settings = self._settings()
        self._job = self.context.runner.start(
            Slot(self.lab.name, "write"),
            lambda: generate(writer, ids, settings, tokenizer.end_ids, with_logits=True),
            title=tr("Writing"),
            paused=True,
            on_events=self._on_wrote,
            on_end=self._on_end,
        )

    def _end_run(self) -> None:
        job, self._job = self._job, None
        if job is not None and not job.ended:
            job.stop()
        self._writer = None  # the stage may still be in the middle of a read
        self._show_buttons()

    def _on_wrote(self, events: list[Any]) -> None:
        from core.model.generation import Wrote

        wrote = [event for event in events if isinstance(event, Wrote)]
        if not wrote or self._job is None:
            return
        self.taken += [taken_of(event.id, event.logits, by_hand=False) for event in wrote]
        self._show_text()
        if self._writing:
            self._show_drawn(wrote[-1])
        else:
            self.look()
        self._show_buttons()

    def _show_drawn(self, event: Wrote) -> None:
        """While it writes: what the last token was drawn from."""
        ids = self._all_ids()[:-1]
        looked = choices(event.logits, ids, self._settings(), self._b())
        self._show_rows(looked, event.id)

    def _on_end(self, outcome: Outcome) -> None:
        self.lab.show_failure(outcome)
        self._show_buttons()
        if self._job is not None:
            self.look()

    # What is shown.

    def _show(self, looked: Looked) -> None:
        if not self._all_ids():
            return
        self.looked = looked
        self._show_rows(looked, None)
        self._show_scene()

    def _show_rows(self, looked: Looked, chosen: int | None) -> None:
        if self.prediction.asking:
            self.distribution.set_rows([])
            return
        from core.model.sampling import FILTERS

        others = None if looked.b is None else {row.id: row.final for row in looked.b.rows}
        rows = [
            Row(
                row.id, visible(self.subject.token_bytes(row.id)), row.logit, row.tempered, row.final,
                FILTERS[row.cut_by - 1] if row.cut_by and self.values()["temperature"] else "",
                None if others is None else others.get(row.id, 0.0),
            )
            for row in looked.a.rows
        ]  # fmt: skip
        self.distribution.set_rows(rows, chosen)
        before = self._all_ids() if chosen is None else self._all_ids()[:-1]
        whole = visible(b"".join(self.subject.token_bytes(i) for i in before[-12:])).replace("␣", " ")
        tail = whole if len(whole) <= TAIL and len(before) <= 12 else f"…{whole[-TAIL:]}"
        self.heading.setText(tr("What comes after “{text}”", text=tail.lstrip()))
        self._show_facts(looked.a)

    def _show_facts(self, a: Candidates) -> None:
        from core.model.sampling import FILTERS

        left = sum(a.cut) + a.kept
        rows = [(tr("vocabulary"), f"{left:,}")]
        if self.values()["temperature"] == 0:
            rows.append((tr("temperature 0: the best"), "1"))
        else:
            for name, cut in zip(FILTERS, a.cut, strict=True):
                left -= cut
                rows.append((name, f"{left:,}"))
        self.facts.set_rows(rows)
        self.facts.fit_height()
        self.says.setText(
            tr(
                "Entropy {bits:.2f} bits: as uncertain as a fair choice among {n:.1f} tokens. The "
                "temperature makes the bars steeper or flatter; it never changes their order.",
                bits=a.bits, n=2**a.bits,
            )
        )  # fmt: skip

    def _show_text(self) -> None:
        prompt = self.subject.ids
        tokens = [self.subject.token_bytes(i) for i in self._all_ids()]
        values = np.full(len(tokens), np.nan)
        values[len(prompt) :] = [1 - each.probability for each in self.taken]
        self.text.set_values(tokens, values, self._describe)
        self.text.show_end()
        self._show_buttons()

    def _describe(self, place: int) -> str:
        n = place - len(self.subject.ids)
        if not 0 <= n < len(self.taken):
            return tr("part of your text")
        taken = self.taken[n]
        instead = ", ".join(
            f"{visible(self.subject.token_bytes(i))} {100 * p:.1f} %" for i, p in taken.instead
        )
        how = tr("taken by hand") if taken.by_hand else tr("drawn")
        return tr(
            "{how}, probability {share:.1f} %. Most probable: {instead}",
            how=how, share=100 * taken.probability, instead=instead,
        )  # fmt: skip

    def _token_clicked(self, token: Token) -> None:
        self._show_token(token.id - len(self.subject.ids))

    def _show_token(self, n: int | None) -> None:
        known = n is not None and 0 <= n < len(self.taken)
        self.instead.setVisible(known)
        if n is None or not known:
            self.token_title.setText("")
            return
        taken = self.taken[n]
        name = visible(self.subject.token_bytes(taken.id))
        self.token_title.setText(tr("“{token}” had {share:.1f} %", token=name, share=100 * taken.probability))
        self.instead.set_rows(
            [(visible(self.subject.token_bytes(i)), f"{100 * p:.1f} %") for i, p in taken.instead]
        )
        self.instead.fit_height()

    def _show_buttons(self) -> None:
        writing = self._writing
        self.step_button.setEnabled(not writing)
        self.run_button.setEnabled(not writing)
        self.stop_button.setEnabled(writing)
        for made in (self.undo_button, self.clear_button):
            made.setEnabled(bool(self.taken) and not writing)

    # The scene.

    def show_scene(self, scene: dict[str, Any]) -> None:
        """Ask before the bars are shown."""
        self._scene = scene
        self.set_settings({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0})
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        self.distribution.set_rows([])

    def _show_scene(self) -> None:
        if self.prediction.asking and self._scene and self.subject.text != self._scene["text"]:
            self.prediction.close_question()

    def _answered(self, index: int) -> None:
        if self._scene is not None:
            self.prediction.reveal(tr(self._scene["choices"][index]["says"]))
        self._reveal()

    def _reveal(self) -> None:
        if self.looked is not None:
            self._show_rows(self.looked, None)

    def take_focus(self) -> None:
        self.distribution.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Next token"): self.distribution, tr("Written text"): self.text}

    def save_state(self) -> dict[str, Any]:
        return {"settings": self.values()}

    def restore_state(self, state: dict[str, Any]) -> None:
        settings = state.get("settings")
        if isinstance(settings, dict):
            self.set_settings({k: v for k, v in settings.items() if isinstance(v, int | float)})
