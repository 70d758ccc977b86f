"""The Quantization lab: weights rounded to fewer bits, what a mix spends them on, and what fits into memory.

What to notice: bits are spent where errors do harm, and a name such as Q4_K_M is a rule, not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.idle import when_idle
from labapp.lab import LabContext
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from pathlib import Path

    from labapp.labs.quantization.by_hand import ByHandPage
    from labapp.labs.quantization.compare import ComparePage
    from labapp.labs.quantization.fits import FitsPage
    from labapp.labs.quantization.inspect import InspectPage
    from labapp.labs.quantization.quantize import QuantizePage
    from labapp.labs.quantization.recipes import RecipesPage
    from labapp.labs.quantization.take_away import TakeAwayPage

PROMPT = 3  # the view of the page Compare in which models write


class QuantizationLab(PagedLab):
    """Pages over `core.quantization`."""

    name = "quantization"
    title = "Quantization"
    promise = "Round weights to fewer bits, and see exactly what it costs."
    pages = (
        ("by_hand", "Round by hand", "ByHandPage"),
        ("recipes", "What is Q4_K_M?", "RecipesPage"),
        ("fits", "Does it fit?", "FitsPage"),
        ("quantize", "Quantize", "QuantizePage"),
        ("compare", "Compare", "ComparePage"),
        ("inspect", "Inspect", "InspectPage"),
        ("take_away", "Take it away", "TakeAwayPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.add_menu_button()
        when_idle("labapp.plots", self, self.plots_ready)

    def strip_text(self, page: str) -> str:
        return str(read_json("quantization", "strip.json")[page])

    @property
    def by_hand(self) -> ByHandPage:
        """The page where weights are rounded by hand."""
        return cast("ByHandPage", self.page("by_hand"))

    @property
    def recipes(self) -> RecipesPage:
        """The page on mixes."""
        return cast("RecipesPage", self.page("recipes"))

    @property
    def fits(self) -> FitsPage:
        """The page on memory."""
        return cast("FitsPage", self.page("fits"))

    @property
    def quantize(self) -> QuantizePage:
        """The page where files are made."""
        return cast("QuantizePage", self.page("quantize"))

    @property
    def compare(self) -> ComparePage:
        """The page on what fewer bits cost."""
        return cast("ComparePage", self.page("compare"))

    @property
    def inspect(self) -> InspectPage:
        """The page on what a file holds."""
        return cast("InspectPage", self.page("inspect"))

    @property
    def take_away(self) -> TakeAwayPage:
        """The page where a file leaves the app."""
        return cast("TakeAwayPage", self.page("take_away"))

    def take_away_model(self, key: str) -> None:
        """Bring a model to the page Take it away."""
        self.take_away.open(key)
        self.frame.show_page("take_away")

    def compare_with(self, reference: str, keys: Sequence[str]) -> None:
        """Put models on the page Compare, against a reference."""
        self.compare.take_reference(reference)
        for key in keys:
            self.compare.add(key)
        self.frame.show_page("compare")

    def show_scene(self) -> None:
        self.current.shown()

    def receive(self, handoff: Handoff) -> None:
        if handoff.model_id is not None:
            artifact = self.context.workspace.artifact(handoff.model_id)
            key = f"artifact:{artifact.id}"
            if artifact.kind == "quantized":
                self.inspect.open(key)
                self.frame.show_page("inspect")
            else:
                self.quantize.prediction.close_question()
                self.quantize.compute(key)
                self.frame.show_page("quantize")
        text = handoff.text if handoff.text is not None else handoff.prompt
        if text is not None:
            self.compare.prediction.close_question()
            self.compare.prompt.line.setText(text)
            self.frame.show_page("compare")
            self.compare.show_view(PROMPT)

    def handoff(self) -> Handoff:
        page = self.frame.page
        if page == "compare" and self.compare.prompt.line.text():
            return Handoff(text=self.compare.prompt.line.text())
        if page == "quantize" and (made := self.quantize.opened_elsewhere()) is not None:
            return Handoff(model_id=made.id)
        return Handoff()

    def open_files(self, files: list[Path]) -> None:
        self.current.open_files(files)

    def busy(self) -> Iterator[str]:
        if self.quantize.job is not None:
            yield tr("A model is being quantized. What is done stays, and can be gone on with.")

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        self.current.shown()

    def _idle(self) -> bool:
        return not any(job.slot.lab == self.name for job in self.context.runner.jobs)

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def ready() -> bool:
            return self.by_hand.rounded is not None

        def planned() -> bool:
            return self.recipes.planned is not None

        def weighed() -> bool:
            return self.fits.planned is not None

        def listed() -> bool:
            return self.quantize.planned is not None

        def made() -> bool:
            return bool(self.quantize.made) and self.quantize.job is None

        def plotted() -> bool:
            return self.compare.plots is not None and self._idle()

        def written() -> None:
            self.compare.show_view(3)
            self.compare.prompt.write()

        def measured() -> None:
            self.compare.show_view(0)
            self.compare.start()

        def looked() -> bool:
            return self.inspect.looked[0] is not None and self._idle()

        def beside() -> None:
            made = self.context.workspace.artifacts("quantized")
            keys = [f"artifact:{one.id}" for one in made[:2]]
            for n, key in enumerate(keys):
                self.inspect.open(key, n)

        def parcel() -> bool:
            return self.take_away.parcel is not None

        def chatted() -> None:
            self.compare.show_view(4)

        return [
            ("question", self.show_scene, ready),
            ("outlier", lambda: self.by_hand.prediction.answer(1), ready),
            ("super-block", lambda: self.by_hand.show_view(1), ready),
            ("mix-question", lambda: self.frame.show_page("recipes"), planned),
            ("mix", lambda: self.recipes.prediction.answer(1), planned),
            ("mixes", lambda: self.recipes.all.click(), planned),
            ("fits-question", lambda: self.frame.show_page("fits"), weighed),
            ("fits", lambda: self.fits.prediction.answer(1), weighed),
            ("quantize-question", lambda: self.frame.show_page("quantize"), listed),
            ("quantize", lambda: self.quantize.prediction.answer(2), listed),
            ("quantized", lambda: self.quantize.start(), made),
            ("compare-question", lambda: self.frame.show_page("compare"), plotted),
            ("compare", lambda: self.compare.prediction.answer(2), plotted),
            ("compare-plots", lambda: self.compare.show_view(1), plotted),
            ("compare-tensors", lambda: self.compare.show_view(2), plotted),
            ("compare-prompt", written, plotted),
            ("compare-measured", measured, plotted),
            ("compare-chat", chatted, plotted),
            ("inspect-question", lambda: self.frame.show_page("inspect"), looked),
            ("inspect", lambda: self.inspect.prediction.answer(1), looked),
            ("inspect-map", lambda: self.inspect.show_view(1), looked),
            ("inspect-two", beside, looked),
            ("inspect-facts", lambda: self.inspect.show_view(2), looked),
            ("take-away-question", lambda: self.frame.show_page("take_away"), parcel),
            ("take-away", lambda: self.take_away.prediction.answer(1), parcel),
            ("take-away-modelfile", lambda: self.take_away.show_view(1), parcel),
            ("take-away-trial", lambda: self.take_away.show_view(2), parcel),
        ]
