"""Choosing a tokenizer: known ones, artifacts, a file, or the one that is being learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog

from core.problems import LabError
from core.stages import once
from core.tokenizer.known import known_tokenizers, load_known
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from labapp.lab import LabContext
from labapp.runner import Done, Failed, Outcome, Slot
from labapp.widgets.export import message_bar_of
from labapp.widgets.picker import Choice, Picker, artifact_choices
from labapp.words import tr

Learned = Callable[[], Tokenizer]

load_once = cache(load_known)
"""A known tokenizer, read at the first time only: o200k takes two seconds, and a tokenizer never changes."""


class TokenizerPicker(Picker):
    """A picker whose choice is loaded on a worker; `chosen` tells when the tokenizer is there.

    Args:
        name: Of the control.
        context: The lab's.
        learned: Gives the tokenizer at the step shown on the Learn page.
        none: What the choice of no tokenizer says; "" where one is needed.
    """

    chosen = Signal(object)  # Tokenizer or None

    def __init__(self, name: str, context: LabContext, learned: Learned, none: str = "") -> None:
        super().__init__(name, self._all_choices)
        self._context, self._learned, self._none = context, learned, none
        self._purpose = f"load {id(self)}"
        self.key = ""
        self.tokenizer: Tokenizer | None = None
        self.picked.connect(self.pick)

    def _all_choices(self) -> list[Choice]:
        found = [Choice("none", self._none)] if self._none else []
        for known in known_tokenizers():
            title = known.title if known.available else tr("{name} (not installed)", name=known.title)
            group = tr("Known tokenizers")
            found.append(Choice(f"known:{known.name}", title, group, known.available, known.how_to_add))
        found.append(Choice("learned", tr("The one on the Learn page"), tr("Yours")))
        found.append(Choice("open", tr("Open a file…"), tr("Yours")))
        return found + artifact_choices(self._context.workspace, "tokenizer")

    def pick(self, key: str) -> None:
        """Load what a key stands for: "known:gpt2", "artifact:…", "file:…", "learned", "open", "none"."""
        if key == "open":
            name, _ = QFileDialog.getOpenFileName(
                self.window(), tr("Open a tokenizer"), "", "*.json *.tiktoken *.gguf *.bpe"
            )
            if name:
                self.pick(f"file:{name}")
            return
        kind, _, value = key.partition(":")
        try:
            load = self._loader(kind, value)
        except LabError as error:
            self._say(error)
            return
        if load is None:
            self._take(key, None, self._none)
            return
        self._context.runner.start(
            Slot("tokenizer", self._purpose),
            lambda: once(load),
            title=tr("Loading a tokenizer"),
            on_events=lambda events: None,
            on_end=partial(self._loaded, key),
        )

    def use(self, tokenizer: Tokenizer, title: str, key: str = "") -> None:
        """Take a tokenizer that is loaded already."""
        self._take(key, tokenizer, title)

    def follow(self, other: TokenizerPicker, otherwise: str) -> None:
        """Take what another picker has; where it has nothing yet, pick the key `otherwise`."""
        if other.tokenizer is not None:
            self.use(other.tokenizer, other.title, other.key)
        else:
            self.pick(otherwise)

    def _loader(self, kind: str, value: str) -> Callable[[], Tokenizer] | None:
        if kind == "known":
            return partial(load_once, value)
        if kind == "file":
            return partial(read_tokenizer, Path(value))
        if kind == "artifact":
            artifact = self._context.workspace.artifact(value)
            return lambda: read_tokenizer(artifact.checked_path("tokenizer.json"))
        if kind == "learned":
            learned = self._learned()
            return lambda: learned
        return None

    def _loaded(self, key: str, outcome: Outcome) -> None:
        match outcome:
            case Done(finished=finished):
                self._take(key, finished.result, self._title_of(key, finished.result))
            case Failed(error=LabError() as error):
                self._say(error)
            case _:
                pass

    def _title_of(self, key: str, tokenizer: Tokenizer) -> str:
        kind, _, value = key.partition(":")
        if kind == "known":
            return next((k.title for k in known_tokenizers() if k.name == value), value)
        if kind == "artifact":
            return self._context.workspace.artifact(value).name
        return Path(value).name if kind == "file" else tokenizer.name

    def _take(self, key: str, tokenizer: Tokenizer | None, title: str) -> None:
        self.key, self.tokenizer = key, tokenizer
        self.set_title(title)
        self.chosen.emit(tokenizer)

    def _say(self, error: LabError) -> None:
        bar = message_bar_of(self)
        if bar is not None:
            bar.show_problem(error)
