"""The Attention lab: every head of a model on any text, what it looks at, and whether that matters.

What to notice: a pattern shows where a head looks, not what it is for; that is asked by switching it off.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.lab import LabContext
from labapp.labs.attention.pins import Pins
from labapp.pages import PagedLab
from labapp.scenes import read_json

if TYPE_CHECKING:
    from labapp.labs.attention.ablation import AblationPage
    from labapp.labs.attention.compare import ComparePage
    from labapp.labs.attention.formula import FormulaPage
    from labapp.labs.attention.heads import HeadsPage
    from labapp.labs.attention.play import PlayPage
    from labapp.labs.attention.root_d import RootDPage


class AttentionLab(PagedLab):
    """Pages over `core.interpret`."""

    name = "attention"
    title = "Attention"
    promise = "See which earlier tokens each head looks at, and what changes without it."
    pages = (
        ("heads", "Heads", "HeadsPage"),
        ("compare", "Compare", "ComparePage"),
        ("formula", "Formula", "FormulaPage"),
        ("ablation", "Ablation", "AblationPage"),
        ("play", "Play", "PlayPage"),
        ("root_d", "Why √d", "RootDPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.add_menu_button()

    @cached_property
    def pins(self) -> Pins:
        """The pinned heads; pages share them."""
        return Pins(self)

    def strip_text(self, page: str) -> str:
        return str(read_json("attention", "strip.json")[page])

    @property
    def heads(self) -> HeadsPage:
        """The Heads page."""
        return cast("HeadsPage", self.page("heads"))

    @property
    def compare(self) -> ComparePage:
        """The Compare page."""
        return cast("ComparePage", self.page("compare"))

    @property
    def formula(self) -> FormulaPage:
        """The Formula page."""
        return cast("FormulaPage", self.page("formula"))

    @property
    def ablation(self) -> AblationPage:
        """The Ablation page."""
        return cast("AblationPage", self.page("ablation"))

    @property
    def play(self) -> PlayPage:
        """The Play page."""
        return cast("PlayPage", self.page("play"))

    @property
    def root_d(self) -> RootDPage:
        """The page on √d."""
        return cast("RootDPage", self.page("root_d"))

    def show_scene(self, name: str = "cat") -> None:
        self.heads.show_scene(read_json("scenes", "attention", f"{name}.json"))

    def handoff(self) -> Handoff:
        layer, head = self.heads.grid.chosen
        return Handoff(text=self.heads.text.toPlainText(), layer=layer, head=head)

    def receive(self, handoff: Handoff) -> None:
        if handoff.model_id is not None:
            self.heads.picker.pick(f"artifact:{handoff.model_id}")
        text = handoff.text if handoff.text is not None else handoff.prompt
        if text is not None:
            self.heads.prediction.close_question()
            self.heads.show_text(text)
        if handoff.layer is not None and handoff.head is not None:
            self.heads.choose_head(handoff.layer, handoff.head)

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            running = [job for job in self.context.runner.jobs if job.slot.lab == self.name]
            return not running and len(self.heads.pattern.weights) > 0

        def answered() -> None:
            self.heads.prediction.answer(0)

        def off() -> None:
            self.heads.prediction.close_question()
            self.heads.switch_off("zero")

        def arcs() -> None:
            self.heads.arcs.setChecked(True)

        def lost() -> Any:
            self.heads.arcs.setChecked(False)
            self.receive(Handoff(text=LONG))

        def play(name: str) -> None:
            self.frame.show_page("play")
            self.play.open_example(name)

        def formula(step: str, softmax: bool = True) -> None:
            self.receive(Handoff(text=CAT, layer=13, head=8))
            self.frame.show_page("formula")
            self.heads.choose_pair(7, 1)
            self.formula.choose_step(step)
            if self.formula.switches["softmax"].isChecked() != softmax:
                self.formula.switches["softmax"].click()

        def walked() -> bool:
            return quiet() and self.formula.worked is not None

        def ablation(answered: bool) -> None:
            self.frame.show_page("ablation")
            if answered:
                self.ablation.prediction.answer(1)
            else:
                self.ablation.open_scene("capital")

        def asked() -> bool:
            return quiet() and len(self.ablation.results) == 3

        def compare(what: str, difference: bool) -> None:
            self.receive(Handoff(text=CAT, layer=13, head=8))
            self.frame.show_page("compare")
            self.compare.choose(what)
            if self.compare.difference.isChecked() != difference:
                self.compare.difference.click()

        def compared() -> bool:
            return quiet() and len(self.compare.a.weights) > 0

        def root_d() -> None:
            self.frame.show_page("root_d")

        def measured() -> bool:
            return quiet() and self.root_d.at is not None

        def root_d_answered() -> None:
            self.frame.show_page("root_d")
            self.root_d.prediction.answer(1)

        return [
            ("question", self.show_scene, quiet),
            ("head", answered, lambda: quiet() and self.heads.pair is not None),
            ("cause", off, lambda: quiet() and self.heads.cause.result is not None),
            ("arcs", arcs, quiet),
            ("long", lost, quiet),
            ("compare-heads", lambda: compare("heads", False), compared),
            ("compare-sentences", lambda: compare("sentences", False), compared),
            ("compare-difference", lambda: compare("sentences", True), compared),
            *(
                (f"formula-{step}", partial(formula, step), walked)
                for step in ("project", "product", "scaling", "mask", "softmax", "values", "concat")
            ),
            ("formula-left-out", lambda: formula("softmax", softmax=False), walked),
            ("ablation-question", lambda: ablation(False), quiet),
            ("ablation", lambda: ablation(True), asked),
            ("play", lambda: play("pronoun"), quiet),
            ("play-dictionary", lambda: play("dictionary"), quiet),
            ("root-d-question", root_d, measured),
            ("root-d", root_d_answered, measured),
        ]


CAT = "The cat sat on the mat because it was tired."
LONG = " ".join(f"The cat sat on mat number {n} because it was tired." for n in range(1, 40))
"""A text of some hundred tokens, for the picture of a long one."""
