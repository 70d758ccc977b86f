"""What a model makes of the same question in three forms, and what that says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from labapp.widgets.parts import card, label
from labapp.words import tr

if TYPE_CHECKING:
    from core.training.parrot import Answered

FORMS = ("As a question", "As a beginning", "With two examples")


class Questions(QWidget):
    """Three cards with an answer each, over what they show.

    Attributes:
        answers: What is shown; empty while the model is asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: tuple[Answered, ...] = ()
        self._asked = [label("", "small", wrap=True) for _ in FORMS]
        self.answered = [label("", "heading", wrap=True) for _ in FORMS]
        self.lesson = label("", "", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for asked, answered in zip(self._asked, self.answered, strict=True):
            column.addWidget(card(asked, answered, spacing=4))
        column.addWidget(card(self.lesson))
        column.addStretch(1)
        self.clear()

    def clear(self) -> None:
        """Show no answers: the model is asked."""
        self.answers = ()
        for form, asked, answered in zip(FORMS, self._asked, self.answered, strict=True):
            asked.setText(tr(form))
            answered.setText("…")
        self.lesson.setText(tr("The model is asked; it always takes the most probable token."))

    def show_answers(self, answers: tuple[Answered, ...], share: float, of_run: bool) -> None:
        """Show three answers.

        Args:
            answers: In the order of `FORMS`.
            share: Share of the corpus's documents that are quizzes without answers.
            of_run: Whether that is the corpus of the model's own run.
        """
        self.answers = answers
        for form, asked, answered, answer in zip(FORMS, self._asked, self.answered, answers, strict=True):
            asked.setText(f"{tr(form)}: {answer.prompt.strip()}")
            sign = tr("✓ Paris") if answer.right else tr("no Paris")
            answered.setText(f"{answer.text or tr('(nothing)')}   {sign}")
        whose = tr("this run's") if of_run else tr("the small world's")
        disclosed = tr(
            "Disclosed: {share:.0f} % of {whose} documents are quizzes, questions without answers. So a "
            "question is followed by a question; the share can be changed when a run is set up.",
            share=100 * share, whose=whose,
        )  # fmt: skip
        self.lesson.setText(f"{lesson([answer.right for answer in answers])} {disclosed}")


def lesson(right: Sequence[bool]) -> str:
    """What it shows which of the forms were answered: a question, a beginning, two examples.

    >>> lesson([False, True, True])
    'The knowledge is there, the format is not: the model goes on with a text, it does not answer.'
    """
    asked, begun, shown = right
    if asked and begun:
        return tr("This model answers a question as it finishes a sentence: it has read answered questions.")
    if begun or shown:
        return tr(
            "The knowledge is there, the format is not: the model goes on with a text, it does not answer."
        )
    if asked:
        return tr("The model answers the question alone.")
    return tr("The model does not know this capital yet: train it for longer.")
