"""The Forward pass lab: from a text to the next token, every stage of it, and what a model is in use.

What to notice: one pass gives one number for each token of the vocabulary; everything else is choosing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtWidgets import QWidget

from labapp.handoff import Handoff
from labapp.lab import LabContext
from labapp.labs.forward.subject import Subject
from labapp.pages import PagedLab
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.forward.chat import ChatPage
    from labapp.labs.forward.flow import FlowPage
    from labapp.labs.forward.lens import LensPage
    from labapp.labs.forward.next import NextPage
    from labapp.labs.forward.perplexity import PerplexityPage
    from labapp.labs.forward.prompts import PromptsPage


class ForwardLab(PagedLab):
    """Pages over `core.model` and `core.evals.scores`, all about one model and one text."""

    name = "forward"
    title = "Forward pass"
    promise = "Follow a text through the model to the next token."
    pages = (
        ("flow", "The pass", "FlowPage"),
        ("next", "Next token", "NextPage"),
        ("lens", "Lens", "LensPage"),
        ("prompts", "Prompts", "PromptsPage"),
        ("perplexity", "Perplexity", "PerplexityPage"),
        ("chat", "Chat", "ChatPage"),
    )

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.current.shown()

    @cached_property
    def subject(self) -> Subject:
        """The model and the text; pages share them."""
        return Subject(self)

    def strip_text(self, page: str) -> str:
        return str(read_json("forward", "strip.json")[page])

    @property
    def flow(self) -> FlowPage:
        """The page of the whole pass."""
        return cast("FlowPage", self.page("flow"))

    @property
    def next(self) -> NextPage:
        """The Next token page."""
        return cast("NextPage", self.page("next"))

    @property
    def lens(self) -> LensPage:
        """The Lens page."""
        return cast("LensPage", self.page("lens"))

    @property
    def prompts(self) -> PromptsPage:
        """The Prompts page."""
        return cast("PromptsPage", self.page("prompts"))

    @property
    def perplexity(self) -> PerplexityPage:
        """The Perplexity page."""
        return cast("PerplexityPage", self.page("perplexity"))

    @property
    def chat(self) -> ChatPage:
        """The Chat page."""
        return cast("ChatPage", self.page("chat"))

    def show_scene(self, name: str = "capital") -> None:
        scene = read_json("scenes", "forward", f"{name}.json")
        self.subject.show_text(scene["text"], scene["template"])
        self.flow.show_scene(scene["pass"])
        self.next.show_scene(scene)

    def handoff(self) -> Handoff:
        return Handoff(text=self.subject.text)

    def receive(self, handoff: Handoff) -> None:
        if handoff.model_id is not None:
            self.subject.picker.pick(f"artifact:{handoff.model_id}")
        text = handoff.text if handoff.text is not None else handoff.prompt
        if text is not None:
            self.next.prediction.close_question()
            self.flow.prediction.close_question()
            self.subject.show_text(text)

    def save_state(self) -> dict[str, Any]:
        return super().save_state() | {"subject": self.subject.save_state()}

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        subject = state.get("subject")
        self.subject.restore_state(subject if isinstance(subject, dict) else {})

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        def quiet() -> bool:
            running = [j for j in self.context.runner.jobs if j.slot.lab == self.name and not j.paused]
            return not running and bool(self.subject.ids)

        def filtered() -> None:
            self.next.prediction.answer(0)
            self.next.set_settings({"temperature": 1.5, "top_k": 12, "top_p": 0.9})

        def written() -> None:
            self.next.set_settings({"temperature": 0.8, "top_k": 40, "top_p": 1.0, "min_p": 0.05})
            for _ in range(3):
                self.next.step()

        def answered() -> bool:
            return len(self.prompts.answers) == 4

        def score() -> None:
            self.frame.show_page("perplexity")
            self.subject.show_text(read_json("forward", "texts.json")["texts"][0]["text"])

        def chat() -> None:
            self.frame.show_page("chat")
            self.chat.line.setText(tr("What is the capital of France?"))
            self.chat.ask()

        def page(name: str) -> Callable[[], object]:
            return lambda: self.frame.show_page(name)

        def letters() -> None:
            self.frame.show_page("prompts")
            self.prompts.choose_set(1)

        def ladder() -> None:
            self.flow.show_view(1)

        def parameters() -> None:
            self.flow.show_view(2)

        def turned() -> None:
            self.flow.prediction.answer(1)
            self.flow.show_view(0)
            self.flow.choose("blocks.0.attn.rot_q")

        def said() -> bool:
            return not self.chat.answering and bool(self.chat.turns) and bool(self.chat.turns[0].words)

        def read() -> bool:
            return quiet() and self.flow.values is not None

        return [
            ("pass", self.show_scene, read),
            ("turned", turned, read),
            ("ladder", ladder, read),
            ("parameters", parameters, read),
            ("question", page("next"), lambda: quiet() and self.next.looked is not None),
            ("next", filtered, quiet),
            ("written", written, quiet),
            ("lens", page("lens"), lambda: quiet() and self.lens.grid.complete),
            ("prompts", page("prompts"), lambda: quiet() and answered()),
            ("letters", letters, lambda: quiet() and answered()),
            ("perplexity", score, lambda: quiet() and bool(self.perplexity.scored)),
            ("chat", chat, said),
        ]
