"""One prompt with its answers and who made them, for people who may know; foreign text stays plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from core.preferences.texts import Said, prompt_text
from labapp.widgets.parts import label
from labapp.widgets.prose import Prose
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.task import Item, Maker


class ItemView(QWidget):
    """The prompt in the heading, the answers below."""

    def __init__(self) -> None:
        super().__init__()
        self.title = label(tr("One prompt"), "heading")
        self.prose = Prose(name=tr("Prompt and answers"))
        self.prose.setFrameShape(QFrame.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self.prose, 1)
        self.prose.show_plain(tr("Choose one in the table to read it."))

    def show_words(self, title: str, text: str) -> None:
        """Show words about the picture."""
        self.title.setText(title)
        self.prose.show_plain(text)

    def show_item(self, item: Item) -> None:
        """Show an item; outputs with all their makers and marks."""
        self.title.setText(tr("One prompt"))
        parts = [prompt_text(item.prompt)]
        for output in item.outputs:
            head = "; ".join([*(_made_by(maker) for maker in output.makers), *output.marks])
            parts.append(f"— {head}\n{output.text}")
        self.prose.show_plain("\n\n".join(parts))

    def show_ranked(self, item: Item, ranks: Mapping[str, str]) -> None:
        """Show an item with the ranks that people gave each answer, without names."""
        self.title.setText(tr("One prompt"))
        parts = [prompt_text(item.prompt)]
        for output in item.outputs:
            given = tr("ranks {ranks}", ranks=ranks.get(output.id) or "–")
            parts.append("— " + "; ".join([given, *map(_made_by, output.makers)]) + f"\n{output.text}")
        self.prose.show_plain("\n\n".join(parts))

    def show_texts(self, prompt: Said, outputs: Sequence[tuple[str, Maker]]) -> None:
        """Show a prompt with what was sampled for it so far."""
        self.title.setText(tr("One prompt"))
        parts = [prompt_text(prompt), *(f"— {_made_by(maker)}\n{text}" for text, maker in outputs)]
        self.prose.show_plain("\n\n".join(parts))


def _made_by(maker: Maker) -> str:
    temperature = maker.settings.get("temperature")
    at = tr(" at temperature {t}", t=temperature) if temperature is not None else ""
    return (maker.model or tr("unknown")) + at
