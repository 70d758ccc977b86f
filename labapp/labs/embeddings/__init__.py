"""The Embeddings lab: vectors as points, words as arrows, and what can and cannot be read off them.

What to notice: a direction may mean something, a single coordinate hardly ever does, and every figure
depends on what the vectors are centered on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.lab import LabContext
from labapp.labs.embeddings.subject import FILE, Subject
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.embeddings.analogy import AnalogyPage
    from labapp.labs.embeddings.cloud import CloudPage
    from labapp.labs.embeddings.dimensions import DimensionsPage
    from labapp.labs.embeddings.dot import DotPage
    from labapp.labs.embeddings.guess import GuessPage
    from labapp.labs.embeddings.senses import SensesPage
    from labapp.labs.embeddings.spaces import SpacesPage


class EmbeddingsLab(PagedLab):
    """Pages over `core.embeddings`, all about one table of vectors."""

    name = "embeddings"
    title = "Embeddings"
    promise = "See meaning as geometry: words as points, relations as arrows."
    pages = (
        ("cloud", "Cloud", "CloudPage"),
        ("analogy", "Analogy", "AnalogyPage"),
        ("dot", "Dot product", "DotPage"),
        ("dimensions", "Dimensions", "DimensionsPage"),
        ("senses", "Senses", "SensesPage"),
        ("guess", "Guess", "GuessPage"),
        ("spaces", "Spaces", "SpacesPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.add_menu_button()

    @cached_property
    def subject(self) -> Subject:
        """The vectors; pages share them."""
        return Subject(self)

    def strip_text(self, page: str) -> str:
        return str(read_json("embeddings", "strip.json")[page])

    @property
    def cloud(self) -> CloudPage:
        """The Cloud page."""
        return cast("CloudPage", self.page("cloud"))

    @property
    def analogy(self) -> AnalogyPage:
        """The Analogy page."""
        return cast("AnalogyPage", self.page("analogy"))

    @property
    def dot(self) -> DotPage:
        """The Dot product page."""
        return cast("DotPage", self.page("dot"))

    @property
    def dimensions(self) -> DimensionsPage:
        """The Dimensions page."""
        return cast("DimensionsPage", self.page("dimensions"))

    @property
    def senses(self) -> SensesPage:
        """The Senses page."""
        return cast("SensesPage", self.page("senses"))

    @property
    def guess(self) -> GuessPage:
        """The page of the game."""
        return cast("GuessPage", self.page("guess"))

    @property
    def spaces(self) -> SpacesPage:
        """The Spaces page."""
        return cast("SpacesPage", self.page("spaces"))

    def show_scene(self, name: str = "words") -> None:
        scene = read_json("scenes", "embeddings", f"{name}.json")
        self.cloud.show_scene(scene["cloud"])
        self.current.shown()

    def open_files(self, files: list[Path]) -> None:
        file = files[0]
        key = "file" if file.suffix in (".gguf", ".safetensors") or file.is_dir() else FILE[:-1]
        self.subject.picker.pick(f"{key}:{file}")

    def receive(self, handoff: Handoff) -> None:
        if handoff.model_id is not None:
            self.subject.picker.pick(f"artifact:{handoff.model_id}")
        if handoff.text is not None:
            self.frame.show_page("cloud")
            self.cloud.prediction.close_question()
            self.cloud.search.setText(handoff.text.strip()[:200])
            self.cloud.find()

    def handoff(self) -> Handoff:
        opened, row = self.cloud.opened, self.cloud.inspector.row
        return (
            Handoff(text=opened.vectors.names[row]) if opened is not None and row is not None else Handoff()
        )

    def save_state(self) -> dict[str, Any]:
        return super().save_state() | {"subject": self.subject.save_state()}

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        subject = state.get("subject")
        self.subject.restore_state(subject if isinstance(subject, dict) else {})
        self.current.shown()

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            running = [j for j in self.context.runner.jobs if j.slot.lab == self.name and not j.paused]
            return not running and self.subject.opened is not None

        def pca() -> None:
            self.frame.show_page("cloud")
            self.cloud.prediction.answer(1)
            self.cloud.search.setText(tr("king"))
            self.cloud.find()

        def in_text() -> None:
            from labapp.labs.embeddings.recipe import Recipe
            from labapp.labs.embeddings.text_source import SAMPLE

            self.cloud.prediction.close_question()
            self.cloud.choice.show_recipe(Recipe(kind="pca", text=SAMPLE, layer=20))
            self.cloud.compute()

        def found(word: str) -> Callable[[], None]:
            def find() -> None:
                self.cloud.search.setText(word)
                self.cloud.find()

            return find

        def tsne() -> None:
            from labapp.labs.embeddings.recipe import Recipe

            self.cloud.choice.show_recipe(Recipe(kind="tsne", count=1_000))
            self.cloud.compute()

        def page(name: str) -> Any:
            return lambda: self.frame.show_page(name)

        def solved(view: int) -> None:
            self.frame.show_page("analogy")
            self.analogy.prediction.answer(0)
            self.analogy.show_view(view)
            if view == 2:
                self.analogy.suites.ask()

        def dot() -> None:
            self.frame.show_page("dot")
            self.dot.prediction.answer(2)
            self.dot.find()

        def direction() -> None:
            self.frame.show_page("dimensions")
            self.dimensions.prediction.answer(1)

        def senses() -> None:
            self.frame.show_page("senses")
            self.senses.prediction.answer(1)

        def play() -> None:
            self.guess.prediction.answer(2)
            self.guess.start(seed=4)
            for word in ("house", "time", "water", "animal", "city", "music"):
                self.guess.line.setText(word)
                self.guess.line.take()

        def stood() -> bool:
            return quiet() and self.analogy.view.moved >= 1

        return [
            ("question", self.show_scene, quiet),
            ("pca", pca, quiet),
            ("text", in_text, lambda: quiet() and bool(self.cloud.recipe.text)),
            ("text-point", found("bank"), quiet),
            ("tsne", tsne, lambda: quiet() and self.cloud.recipe.kind == "tsne"),
            ("analogy-question", page("analogy"), quiet),
            ("analogy", partial(solved, 0), stood),
            ("arrows", partial(solved, 1), stood),
            ("suites", partial(solved, 2), stood),
            ("dot-question", page("dot"), quiet),
            ("dot", dot, quiet),
            ("dimensions-question", page("dimensions"), quiet),
            ("dimensions", direction, lambda: quiet() and self.dimensions.found is not None),
            ("dimensions-turned", self._turn, lambda: quiet() and self.dimensions.found is not None),
            ("senses-question", page("senses"), quiet),
            ("senses", senses, lambda: quiet() and self.senses.read is not None),
            ("senses-layers", lambda: self.senses.show_view(1), lambda: quiet() and self.senses.plots_there),
            ("guess-question", page("guess"), quiet),
            ("guess", play, quiet),
            ("guess-over", lambda: self.guess.give_up(), quiet),
            ("spaces-question", page("spaces"), lambda: quiet() and self.spaces.pair is not None),
            ("spaces", lambda: self.spaces.prediction.answer(0), quiet),
            ("spaces-models", lambda: self.spaces.show_models(), quiet),
        ]

    def _turn(self) -> None:
        self.dimensions.turn.setChecked(True)
        self.dimensions.rotate()
