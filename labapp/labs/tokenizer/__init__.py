"""The Tokenizer lab: learn merges on a real text, encode, compare tokenizers, ask why, and count the cost.

What to notice: the most frequent pair wins, again and again; words that are frequent become one token; the
same text costs more tokens in some languages than in others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from core.artifacts import Artifact
from core.problems import LabError
from core.settings import to_json
from core.tokenizer.samples import strip_text
from labapp.handoff import Handoff
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.pages import PagedLab
from labapp.widgets.parts import button
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.tokenizer.encode import EncodePage
    from labapp.labs.tokenizer.learn import LearnPage


class TokenizerLab(PagedLab):
    """Six pages over `core.tokenizer`."""

    name = "tokenizer"
    title = "Tokenizer"
    promise = "Merge the most frequent pair of tokens, again and again."

    pages = (
        ("learn", "Learn", "LearnPage"),
        ("encode", "Encode", "EncodePage"),
        ("compare", "Compare", "ComparePage"),
        ("why", "Why tokens?", "WhyPage"),
        ("languages", "Languages", "LanguagesPage"),
        ("price", "Cost", "CostPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._build_actions()
        when_idle("labapp.plots", self, self.plots_ready)

    def strip_text(self, page: str) -> str:
        return strip_text(page)

    @property
    def learn(self) -> LearnPage:
        """The Learn page."""
        return cast("LearnPage", self.page("learn"))

    @property
    def encode(self) -> EncodePage:
        """The Encode page, whose text the pages after it count too."""
        return cast("EncodePage", self.page("encode"))

    def _build_actions(self) -> None:
        self.save_button = button(
            tr("Save tokenizer"), tip=tr("Keep the tokenizer at the merge shown"), role="menu"
        )
        menu = QMenu(self.save_button)
        for text, do in (
            (tr("Keep in the workspace"), self.keep),
            (tr("Export files for Hugging Face…"), self.export),
        ):
            menu.addAction(text).triggered.connect(lambda _=False, do=do: self.attempt(do))
        self.save_button.setMenu(menu)
        self.frame.action_row.addWidget(self.save_button)
        for key, do, what in (
            ("Alt+Left", lambda: self._turn(-1), tr("One merge back")),
            ("Alt+Right", lambda: self._turn(1), tr("One merge on")),
            ("Alt+Up", self.learn.play, tr("Play or pause the merges")),
            ("Alt+Home", lambda: self.learn.go_to(0), tr("Back to single bytes")),
            ("Alt+End", self.learn.to_the_end, tr("Learn all merges")),
        ):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setWhatsThis(what)
            shortcut.activated.connect(do)

    def _turn(self, by: int) -> None:
        if self.frame.page == "encode":
            self.encode.turn_word(by)
        elif self.frame.page == "learn":
            (self.learn.back if by < 0 else self.learn.forward)()

    def keep(self) -> Artifact:
        """Publish the tokenizer at the step shown as an artifact.

        Raises:
            LabError: Nothing is learned yet, or the disk is full.
        """
        from core.tokenizer.writing import write_tokenizer

        tokenizer = self.learn.tokenizer()
        draft = self.context.workspace.new_artifact(
            "tokenizer",
            tr("{text}, {n:,} tokens", text=self.learn.picker.title, n=tokenizer.vocab_size),
            "tokenizer.train",
            settings={**to_json(self.learn.settings), "merges": self.learn.step},
            parents=self.learn.parents(),
            references=self.learn.references(),
        )
        with draft:
            write_tokenizer(tokenizer, draft.folder)
            draft.metrics["characters_per_token"] = self.learn.characters_per_token()
        artifact: Artifact = draft.artifact
        self.context.published(artifact)
        self.frame.messages.show_note(tr("Kept in the workspace as “{name}”.", name=artifact.name))
        return artifact

    def export(self) -> None:
        """Write tokenizer.json and tokenizer_config.json into a folder."""
        from core.tokenizer.writing import write_tokenizer

        tokenizer = self.learn.tokenizer()
        chosen = QFileDialog.getExistingDirectory(self, tr("Choose a folder for the tokenizer's files"))
        if chosen:
            files = write_tokenizer(tokenizer, Path(chosen))
            names = ", ".join(file.name for file in files)
            self.frame.messages.show_note(tr("Wrote {names} to {folder}.", names=names, folder=chosen))

    # What the window asks.

    def show_scene(self) -> None:
        self.learn.show_scene()

    def handoff(self) -> Handoff:
        return Handoff(text=self.encode.text()[:100_000])

    def receive(self, handoff: Handoff) -> None:
        if handoff.text is not None:
            self.frame.show_page("encode")
            self.encode.set_text(handoff.text)
        if handoff.artifact_id is not None:
            artifact = self.context.workspace.artifact(handoff.artifact_id)
            if artifact.kind == "corpus":
                self.frame.show_page("learn")
                self.learn.pick(f"artifact:{artifact.id}")
            else:
                self.frame.show_page("encode")
                self.encode.pick(f"artifact:{artifact.id}")

    def open_files(self, files: list[Path]) -> None:
        tokenizers = [
            file for file in files if file.suffix in (".json", ".tiktoken", ".gguf") or file.is_dir()
        ]
        if tokenizers:
            from core.tokenizer.reading import read_tokenizer

            self.frame.show_page("encode")
            self.encode.use(read_tokenizer(tokenizers[0]), tokenizers[0].name, str(tokenizers[0]))
        elif files:
            missing = [file for file in files if not file.is_file()]
            if missing:
                raise LabError(
                    tr("{file} is not a file.", file=missing[0]),
                    tr("Open a text in UTF-8, or a tokenizer.json."),
                )
            if self.frame.page not in ("learn", "encode"):
                self.frame.show_page("learn")
            self.current.open_files(files)

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            running = [
                job for job in self.context.runner.jobs if job.slot.lab == self.name and not job.paused
            ]
            return not running and self.learn.compression is not None

        def at(step: int) -> bool:
            return quiet() and self.learn.step == step and len(self.learn.view.visible_tokens()) > 0

        def learned() -> None:
            self.frame.show_page("learn")
            self.learn.pick("sample:story")
            self.learn.go_to_when_counted(120)

        def counts(page: str) -> bool:
            return quiet() and self.frame.page == page and bool(self.encode.encoded)

        pages = [
            (p, lambda p=p: self.frame.show_page(p), lambda p=p: counts(p))
            for p in ("compare", "why", "languages", "price")
        ]
        return [
            ("question", self.show_scene, lambda: at(0)),
            ("learn", learned, lambda: at(120)),
            ("encode", lambda: self.frame.show_page("encode"), lambda: counts("encode")),
            *pages,
        ]
