"""Learn: watch BPE merge the most frequent pair of tokens, again and again, forwards and backwards.

The stage is `core.tokenizer.train.train_tokenizer`, pulled one merge at a time; it stays one merge ahead of
what is shown, so that the next pair can be marked before it is merged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QSlider, QVBoxLayout, QWidget

from core.artifacts import Reference, refer
from core.problems import LabError
from core.stages import Progress
from core.tokenizer.explain import TokenUse
from core.tokenizer.learn import Merged
from core.tokenizer.patterns import PATTERNS, pattern
from core.tokenizer.samples import Scene, load_sample, load_samples, load_scene
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.train import Counted, TrainSettings, train_tokenizer
from core.tokenizer.words import Text
from labapp.labs.tokenizer.history import History
from labapp.labs.tokenizer.learn_details import LearnDetails
from labapp.labs.tokenizer.texts import SHOWN_AT_MOST, Shown, read_shown
from labapp.pages import LabPage
from labapp.runner import Done, Failed, Job, Outcome, Slot
from labapp.theme import CONTROLS_WIDTH
from labapp.widgets.form import SettingsForm
from labapp.widgets.parts import button, card, field, label
from labapp.widgets.picker import Choice, Picker, artifact_choices
from labapp.widgets.prediction import Prediction
from labapp.widgets.token_text import Token, TokenText, visible
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer import TokenizerLab
    from labapp.labs.tokenizer.curves import Compression, Lengths

LEADING = 16  # pairs in the table
LONGEST_OWN_TEXT = 20_000  # characters that the small editor takes
WHOLE_WORD_SHOWN = 4_000  # bytes shown where the whole text is one word
SPEEDS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)  # merges per second
CATCHING_UP = 0.3  # s between two full updates while merges are learned on the way to a later one
A_TURN_LATER = 30  # ms between text, details and plots: the window answers in between
HINT_EVERY = 900  # ms between two hints at the pairs to choose from


class LearnPage(LabPage):
    """Text, settings and steps on the left; the text in tokens and the curves in the middle."""

    def __init__(self, lab: TokenizerLab) -> None:
        super().__init__(lab)
        self.lab = lab
        self.texts: list[Text] = []
        self.history: History | None = None
        self.step = 0
        self.reason = ""
        self._source = ""
        self._wanted = 0
        self._updated = 0.0
        self._total = 0
        self._job: Job | None = None
        self._token: int | None = None
        self._scene: Scene | None = None
        self._before_scene: dict[str, Any] = {}
        self._shown = Shown(b"", 0)
        self._build_controls()
        self._build_picture()
        self._build_details()
        self._connect()
        self._update()

    # Assembly.

    def _build_controls(self) -> None:
        self.picker = Picker(tr("Text"), self._choices)
        self.own = QPlainTextEdit()
        self.own.setPlaceholderText(tr("Type or paste a text to learn from"))
        self.own.setAccessibleName(tr("Your own text"))
        self.own.setToolTip(tr("Learning starts again when you pause typing"))
        self.own.setTabChangesFocus(True)
        self.own.setFixedHeight(72)
        titles = {"pattern": {name: p.title for name, p in PATTERNS.items()}}
        self.form = SettingsForm(TrainSettings, ["vocab_size", "pattern"], columns=2, titles=titles)
        self.more = SettingsForm(TrainSettings, ["min_frequency", "special_tokens"], columns=2)
        self.more_button = button(
            tr("More settings"), self._toggle_more, tip=tr("Rarely changed settings"), role="sample"
        )
        self.more_button.setCheckable(True)
        self.start_button = button(
            tr("Start again"), self.start, tip=tr("Learn from the first merge with these settings")
        )
        self.position = label(tr("Merge 0 of 0"), "small")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Merge shown"))
        self.slider.setToolTip(tr("Jump to any merge; merges not learned yet are learned on the way"))
        self.back_button = button(tr("Back"), self.back, tip=tr("Take one merge back (Alt+Left)"))
        self.step_button = button(
            tr("Step"), self.forward, tip=tr("Do one merge (Alt+Right)"), role="primary"
        )
        self.play_button = button(tr("Play"), self.play, tip=tr("Go on by itself, or pause (Alt+Up)"))
        self.end_button = button(tr("To the end"), self.to_the_end, tip=tr("Learn all merges (Alt+End)"))
        self.speed = QSlider(Qt.Orientation.Horizontal)
        self.speed.setRange(0, len(SPEEDS) - 1)
        self.speed.setValue(2)
        self.speed.setPageStep(1)
        self.speed_label = label("", "small")
        self.speed.setAccessibleName(tr("Speed"))
        self.speed.setToolTip(tr("Merges per second while playing. More: faster"))
        self.controls = self._lay_out_controls()

    def _lay_out_controls(self) -> QWidget:
        made = QWidget()
        made.setFixedWidth(CONTROLS_WIDTH - 1)
        column = QVBoxLayout(made)
        column.setContentsMargins(18, 4, 18, 8)
        column.setSpacing(6)
        column.addWidget(field(tr("Text"), self.picker, tr("What to learn from")))
        column.addWidget(self.own)
        column.addWidget(self.form)
        row = QHBoxLayout()
        row.addWidget(self.more_button)
        row.addStretch(1)
        row.addWidget(self.start_button)
        column.addLayout(row)
        column.addWidget(self.more)
        self.more.hide()
        column.addSpacing(2)
        column.addWidget(self.position)
        column.addWidget(self.slider)
        first, second = QHBoxLayout(), QHBoxLayout()
        for row, buttons in (
            (first, (self.back_button, self.step_button)),
            (second, (self.play_button, self.end_button)),
        ):
            row.setSpacing(6)
            for made_button in buttons:
                row.addWidget(made_button, 1)
            column.addLayout(row)
        speed = QHBoxLayout()
        speed.addWidget(label(tr("Speed"), "small"))
        speed.addWidget(self.speed, 1)
        speed.addWidget(self.speed_label)
        column.addLayout(speed)
        column.addStretch(1)
        return made

    def _build_picture(self) -> None:
        self.prediction = Prediction()
        self.view = TokenText()
        self.size_label = label("", "small")
        self.text_card = card(self.size_label, self.view, margin=10, spacing=2)
        self.plots = QWidget()
        self._plots_row = QHBoxLayout(self.plots)
        self._plots_row.setContentsMargins(0, 0, 0, 0)
        self._plots_row.setSpacing(10)
        self.compression: Compression | None = None
        self.lengths: Lengths | None = None
        self.picture = QWidget()
        column = QVBoxLayout(self.picture)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.prediction)
        column.addWidget(self.text_card, 3)
        column.addWidget(self.plots, 2)

    def _build_details(self) -> None:
        self.details = self.tables = LearnDetails()

    def _connect(self) -> None:
        self._player = QTimer(self)
        self._player.timeout.connect(self._tick)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(400)
        self._typing.timeout.connect(self._own_text_changed)
        self._details_due = self._after_a_turn(self._update_details)
        self._plots_due = self._after_a_turn(self._update_plots)
        self._early_answer: int | None = None
        self._hints = QTimer(self)
        self._hints.setInterval(HINT_EVERY)
        self._hints.timeout.connect(self._hint)
        self._hint_at = 0
        self.picker.picked.connect(lambda key: self.lab.attempt(self.pick, key))
        self.own.textChanged.connect(self._typing.start)
        self.form.changed.connect(self.start)
        self.more.changed.connect(self.start)
        self.slider.valueChanged.connect(self.go_to)
        self.speed.valueChanged.connect(self._speed_changed)
        self.view.clicked.connect(lambda token: self.choose(token.id))
        self.view.hovered.connect(self._hovered)
        self.tables.token_chosen.connect(self.choose)
        self.tables.step_chosen.connect(self._merge_chosen)
        self.prediction.answered.connect(self._answered)
        self.prediction.closed.connect(self._end_scene)
        self._speed_changed()

    def _after_a_turn(self, update: Callable[[], None]) -> QTimer:
        due = QTimer(self)
        due.setSingleShot(True)
        due.setInterval(A_TURN_LATER)
        due.timeout.connect(update)
        return due

    def plots_ready(self) -> None:
        from labapp.labs.tokenizer import curves

        self.compression, self.lengths = curves.Compression(), curves.Lengths()
        self._plots_row.addWidget(self.compression, 3)
        self._plots_row.addWidget(self.lengths, 2)
        self._update_plots()

    # The text.

    def _choices(self) -> list[Choice]:
        found = [
            Choice(f"sample:{s.name}", s.title, tr("Samples"), tip=s.notice) for s in load_samples("learn")
        ]
        found.append(Choice("own", tr("Type your own"), tr("Yours")))
        found.append(Choice("clipboard", tr("From the clipboard"), tr("Yours")))
        found.append(Choice("files", tr("Open files…"), tr("Yours")))
        return found + artifact_choices(self.context.workspace, "corpus")

    def pick(self, key: str) -> None:
        """Take the text that a choice stands for.

        Raises:
            LabError: There is no text in it.
        """
        kind, _, name = key.partition(":")
        if kind == "sample":
            sample = load_sample(name)
            self.use_own(sample.title, sample.text, key)
        elif kind == "own":
            self.use_own(tr("Your own text"), self.own.toPlainText() or tr("Type here."), key)
            self.own.setFocus()
            self.own.selectAll()
        elif kind == "clipboard":
            text = QGuiApplication.clipboard().text()
            if not text:
                raise LabError(
                    tr("The clipboard holds no text."), tr("Copy a text somewhere and choose this again.")
                )
            self.use_own(tr("From the clipboard"), text, "own")
        elif kind == "files":
            self.context.open_dialog()
        elif kind == "artifact":
            artifact = self.context.workspace.artifact(name)
            files = [f for f in artifact.files if f.endswith((".txt", ".jsonl"))]
            self.use_files(artifact.name, [artifact.checked_path(f) for f in files], key)

    def use_own(self, title: str, text: str, source: str = "own") -> None:
        """Learn from a text in memory; a short one can be edited."""
        short = len(text) <= LONGEST_OWN_TEXT
        self.own.blockSignals(True)
        self.own.setPlainText(text if short else "")
        self.own.blockSignals(False)
        self.own.setVisible(short)
        self._use(title, [Text(name=title, path=None, text=text)], source)

    def use_files(self, title: str, files: list[Path], source: str = "") -> None:
        """Learn from files; they are read in blocks."""
        self.own.setVisible(False)
        self._use(title, [Text(name=f.name, path=f, text=None) for f in files], source or "files")

    def open_files(self, files: list[Path]) -> None:
        title = files[0].name if len(files) == 1 else tr("{n} files", n=len(files))
        self.use_files(title, files)

    def _own_text_changed(self) -> None:
        text = self.own.toPlainText()
        self._use(tr("Your own text"), [Text(name="own", path=None, text=text)], "own")

    def _use(self, title: str, texts: list[Text], source: str) -> None:
        self._end_scene()
        if self._before_scene and not source.startswith("scene:"):
            self.form.set_values(self._before_scene)  # a scene's small vocabulary is its own
            self._before_scene = {}
        self.texts, self._source = texts, source
        self.picker.set_title(title)
        self.start()

    # Actions.

    def start(self) -> None:
        """Learn again from the first merge, with the settings as they stand."""
        self.lab.attempt(self._start)

    def _start(self) -> None:
        self._player.stop()
        settings = TrainSettings(**{**self.form.values(), **self.more.values()})
        if not self.texts:
            return
        runner = self.context.runner
        self._job = runner.start(
            Slot("tokenizer", "learn"),
            lambda: train_tokenizer(self.texts, settings, LEADING),
            title=tr("Learning merges from {text}", text=self.picker.title),
            paused=True,
            on_events=self._on_learned,
            on_end=self._on_learn_end,
            progress_of=self._progress_of,
        )
        self.settings = settings
        self.history, self.step, self._wanted, self.reason = None, 0, 0, ""
        self._token = None
        self._total = max(0, settings.vocab_size - 256 - len(settings.special_token_list))
        self._job.step(2)  # the count, and the first merge
        self.lab.ask(
            "text",
            lambda: read_shown(self.texts, pattern(settings.pattern), self._shown_at_most(settings)),
            tr("Reading {text}", text=self.picker.title),
            self._show_text,
        )
        self._update()

    def _shown_at_most(self, settings: TrainSettings) -> int:
        return WHOLE_WORD_SHOWN if settings.pattern == "none" else SHOWN_AT_MOST

    def _progress_of(self, event: Any) -> Progress | None:
        if isinstance(event, Merged):
            return Progress(tr("Learning merges"), event.step, self._total, tr("merges"))
        return None

    def go_to(self, step: int) -> None:
        """Show the state after `step` merges; what is not learned yet is learned on the way."""
        if self.history is None or self._job is None:
            return
        self._wanted = max(0, min(step, self._total))
        missing = self._wanted + 1 - len(self.history.merges)
        if missing > 0 and not self._job.ended:
            self._job.step(missing)
        self._follow()

    def go_to_when_counted(self, step: int) -> None:
        """Go to a step as soon as the words are counted, as when a state is restored."""
        self._wanted = max(0, step)
        if self._job is not None:
            self._job.step(self._wanted)

    def back(self) -> None:
        """Take one merge back."""
        self._pause()
        self.go_to(self.step - 1)

    def forward(self) -> None:
        """Do one merge."""
        self._pause()
        self.go_to(self.step + 1)

    def play(self) -> None:
        """Go on by itself, or pause."""
        if self._player.isActive():
            self._pause()
        elif self.step < self._total:
            self._player.start()
            self._update_buttons()

    def to_the_end(self) -> None:
        """Learn all merges."""
        self._pause()
        self.go_to(self._total)

    def _pause(self) -> None:
        self._player.stop()
        self._update_buttons()

    def _tick(self) -> None:
        self.go_to(self._wanted + max(1, round(SPEEDS[self.speed.value()] * self._player.interval() / 1000)))
        if self.step >= self._total:
            self._pause()

    def _speed_changed(self) -> None:
        speed = SPEEDS[self.speed.value()]
        self._player.setInterval(max(50, round(1000 / speed)))
        self.speed_label.setText(tr("{n:g}/s", n=speed))

    def _toggle_more(self) -> None:
        self.more.setVisible(self.more_button.isChecked())

    # What the stages say.

    def _on_learned(self, events: list[Any]) -> None:
        for event in events:
            match event:
                case Counted(words=words):
                    self.history = History(words, self.settings.special_token_list)
                case Merged() if self.history is not None:
                    self.history.add(event)
                case _:
                    pass
        if self._early_answer is not None and self.history is not None and self.history.merges:
            answer, self._early_answer = self._early_answer, None
            self._answered(answer)
        self._follow()

    def _on_learn_end(self, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                self.reason = finished.reason
                if self.history is not None:
                    self._total = len(self.history.merges)
                    self.history.last_leading = finished.result.leading
                self._follow()
            case Failed(error=LabError() as error):
                self.lab.frame.messages.show_problem(error)
            case _:
                pass

    def _show_text(self, shown: Shown) -> None:
        self._shown = shown
        self.view.set_text(shown.data, shown.starts, shown.lines)
        self._say_sizes()

    def _follow(self) -> None:
        """Move to the wanted step as far as it is learned: one merge ahead must be known, or the end."""
        if self.history is None:
            return
        known = len(self.history.merges)
        ended = bool(self.reason)
        self.step = min(self._wanted, known if ended else max(0, known - 1))
        arrived = ended or self.step == self._wanted
        if arrived:
            self._update()
        elif time.monotonic() - self._updated > CATCHING_UP:
            self._update_picture()
            self._details_due.start()
        else:
            self._say_position()

    # What is shown.

    def _update(self) -> None:
        self._update_picture()
        self._update_details()

    def _update_picture(self) -> None:
        history, step = self.history, self.step
        self._updated = time.monotonic()
        self._update_buttons()
        self._say_position()
        if history is None:
            self.view.set_spans(lambda word: [(byte, 1) for byte in word])
            self.view.mark_pairs([])
        else:
            self.view.set_spans(lambda word: history.spans(word, step))
            self._mark_next()
        self._say_sizes()

    def _update_details(self) -> None:
        self._details_due.stop()
        if self.prediction.asking:
            self.tables.show_nothing(tr("Predict first; then the counts are shown."))
            return
        self.tables.show_step(self.history, self.step, self.reason)
        self._show_token(self.step)
        self._plots_due.start()

    def _say_position(self) -> None:
        self.position.setText(tr("Merge {step:,} of {total:,}", step=self.step, total=self._total))

    def _mark_next(self) -> None:
        if self._hints.isActive():
            return
        merges = self.history.merges if self.history else []
        self.view.mark_pairs(
            [(merges[self.step].left, merges[self.step].right)] if self.step < len(merges) else []
        )

    def _update_buttons(self) -> None:
        ready = self.history is not None and not self.prediction.asking
        self.back_button.setEnabled(ready and self.step > 0)
        for made in (self.step_button, self.end_button, self.play_button):
            made.setEnabled(ready and self.step < self._total)
        self.play_button.setText(tr("Pause") if self._player.isActive() else tr("Play"))
        self.slider.setEnabled(ready)
        self.slider.blockSignals(True)
        self.slider.setRange(0, self._total)
        self.slider.setPageStep(max(1, self._total // 20))
        self.slider.setValue(self.step)
        self.slider.blockSignals(False)

    def _say_sizes(self) -> None:
        if self.history is None:
            self.size_label.setText(tr("Reading …"))
            return
        words, tokens = self.history.words, self.history.corpus_tokens(self.step)
        text = tr(
            "{characters:,} characters are {tokens:,} tokens: {ratio:.2f} characters per token",
            characters=words.characters, tokens=tokens, ratio=words.characters / max(1, tokens),
        )  # fmt: skip
        if len(self._shown.data) < words.bytes:
            text += tr(" · shown: the first {n:,} of {all:,} bytes", n=len(self._shown.data), all=words.bytes)
        self.size_label.setText(text)
        self.view.setAccessibleDescription(self.summary())

    def summary(self) -> str:
        """The picture in one sentence."""
        if self.history is None:
            return ""
        said = tr("After {n:,} merges. {sizes}.", n=self.step, sizes=self.size_label.text())
        if self.step < len(self.history.merges):
            merge = self.history.merges[self.step]
            said += " " + tr(
                "The next pair is “{left}” and “{right}”, {count:,} times.",
                left=visible(self.history.token(merge.left)), right=visible(self.history.token(merge.right)),
                count=merge.count,
            )  # fmt: skip
        return said

    def _update_plots(self) -> None:
        if self.compression is not None and self.lengths is not None:
            self.compression.show_history(self.history, self.step)
            self.lengths.show_history(self.history, self.step)

    # One token.

    def choose(self, token_id: int) -> None:
        """Show where a token comes from."""
        self._token = token_id
        self._show_token(self.step)
        self._count_token()

    def _merge_chosen(self, step: int) -> None:
        if self.history is not None and step <= len(self.history.merges):
            self.choose(self.history.merges[step - 1].id)

    def _show_token(self, step: int) -> None:
        history = self.history
        if history is None:
            self.tables.show_token(None, None, 0)
            return
        token_id = self._token
        if token_id is None and history.merges:
            last = history.merges[max(0, step - 1)]
            token_id = last.id if step else None
        if token_id is None or token_id >= len(history.tokens) or history.tokens[token_id] is None:
            self.tables.show_token(None, None, 0)
            return
        self.tables.show_token(history.tree(token_id), None, step)
        if self.step == self._wanted and not self._player.isActive():
            self._count_token(token_id)

    def _count_token(self, token_id: int | None = None) -> None:
        history, step = self.history, self.step
        token_id = self._token if token_id is None else token_id
        if history is None or token_id is None:
            return
        self.lab.ask(
            "count",
            lambda: history.use(token_id, step),
            tr("Counting a token"),
            lambda use: self._show_use(use, token_id, step),
        )

    def _show_use(self, use: TokenUse, token_id: int, step: int) -> None:
        if self.history is not None and step == self.step:
            self.tables.show_token(self.history.tree(token_id), use, step)

    def _hovered(self, token: Token | None) -> None:
        self.view.mark_id(token.id if token else None)

    # The scene.

    def show_scene(self, name: str = "first-merges") -> None:
        """Ask which pair is merged first; the candidates light up in turn until an answer is given."""
        scene = load_scene(name)
        self._before_scene = self._before_scene or self.form.values()
        self.form.set_values({"vocab_size": scene.vocab_size or 300, "pattern": scene.pattern or "gpt2"})
        self.use_own(scene.title, scene.text, f"scene:{name}")
        self._scene = scene
        choices = [
            f"{visible((c.pair or ('', ''))[0].encode())} + {visible((c.pair or ('', ''))[1].encode())}"
            for c in scene.choices
        ]
        self.prediction.ask(scene.question, choices)
        if not self.context.reduced_motion:
            self._hints.start()
        self._update_buttons()

    def _hint(self) -> None:
        """Outline the next candidate pair."""
        if self._scene is None or self.history is None:
            return
        choice = self._scene.choices[self._hint_at % len(self._scene.choices)]
        self._hint_at += 1
        left, right = choice.pair or ("", "")
        ids = [self.history.tokens.index(part.encode()) for part in (left, right) if len(part.encode()) == 1]
        self.view.mark_pairs([(ids[0], ids[1])] if len(ids) == 2 else [])

    def _answered(self, index: int) -> None:
        self._hints.stop()
        scene, history = self._scene, self.history
        if scene is None:
            self.prediction.close_question()
            return
        if history is None or not history.merges:  # a quick answer: the first merge is not learned yet
            self._early_answer = index
            return
        merge = history.merges[0]
        pair = tuple(history.token(i) for i in (merge.left, merge.right))
        right = pair == tuple(part.encode() for part in scene.choices[index].pair or ())
        sign = tr("Right.") if right else tr("Not this time.")
        self.prediction.reveal(f"{sign} {scene.choices[index].says}")
        self._update()
        self.play()

    def _end_scene(self) -> None:
        self._hints.stop()
        self._early_answer = None
        self._scene = None
        if self.prediction.asking:
            self.prediction.hide()
        self._update()

    # For the lab.

    def take_focus(self) -> None:
        self.view.setFocus()

    def parents(self) -> list[str]:
        """The ids of the artifacts that are learned from."""
        kind, _, name = self._source.partition(":")
        return [name] if kind == "artifact" else []

    def references(self) -> list[Reference]:
        """The user's own files that are learned from, by content."""
        return [] if self.parents() else [refer(text.path) for text in self.texts if text.path is not None]

    def characters_per_token(self) -> float:
        """Of the whole text, at the step shown."""
        if self.history is None:
            return 0.0
        return self.history.words.characters / max(1, self.history.corpus_tokens(self.step))

    def tokenizer(self) -> Tokenizer:
        """The tokenizer as it is at the step shown.

        Raises:
            LabError: Nothing is learned yet.
        """
        if self.history is None or self.step == 0:
            raise LabError(tr("No merge is learned yet."), tr("Press Step or To the end first."))
        return self.history.tokenizer(self.step, self.settings.pattern, self.picker.title)

    def pictures(self) -> dict[str, QWidget]:
        found: dict[str, QWidget] = {tr("Text in tokens"): self.view}
        if self.compression is not None and self.lengths is not None:
            found[tr("Compression")] = self.compression
            found[tr("Token lengths")] = self.lengths
        return found

    def save_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "values": {**self.form.values(), **self.more.values()},
            "speed": self.speed.value(),
            "step": self.step,
            "source": self._source,
            "title": self.picker.title,
        }
        if self.own.isVisibleTo(self.controls):
            state["text"] = self.own.toPlainText()
        files = [str(text.path) for text in self.texts if text.path is not None]
        if files:
            state["files"] = files
        return state

    def restore_state(self, state: dict[str, Any]) -> None:
        values = state.get("values")
        if isinstance(values, dict):
            self.form.set_values(values)
            self.more.set_values(values)
        if isinstance(speed := state.get("speed"), int):
            self.speed.setValue(speed)
        title, text, files = state.get("title"), state.get("text"), state.get("files")
        title = title if isinstance(title, str) else tr("Your own text")
        source = str(state.get("source", "own"))
        if isinstance(files, list) and files:
            gone = [f for f in files if not Path(str(f)).is_file()]
            if gone:
                self.show_scene()
                raise LabError(
                    tr("{file} is no longer there.", file=gone[0]), tr("Open it from its new place.")
                )
            self.use_files(title, [Path(str(f)) for f in files], source)
        elif isinstance(text, str):
            self.use_own(title, text, source)
        else:
            self.show_scene()
            return
        if isinstance(step := state.get("step"), int):
            self.go_to_when_counted(step)
