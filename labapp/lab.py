"""What every lab is: a widget with a title, a promise, its messages, its state, and pictures to export.

A lab knows the window only through its `LabContext`; it never imports another lab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.artifacts import Artifact, Workspace
from core.problems import LabError
from labapp.handoff import Handoff
from labapp.models import Models
from labapp.runner import Done, Failed, Outcome, Runner, Slot
from labapp.widgets.lab_frame import LabFrame
from labapp.words import tr


@dataclass(frozen=True)
class LabContext:
    """What the window lends to a lab.

    Attributes:
        runner: Runs stages on threads.
        workspace: Where artifacts and work are kept.
        open_in: Opens a handoff in another lab, by the lab's name.
        labs_for: The (name, title) of labs that accept a handoff.
        open_dialog: Asks for files and opens them in the lab in view.
        models: Where models are taken from.
        published: To be called with an artifact that the lab has made.
        reduced_motion: Whether movement is to be left out.
    """

    runner: Runner
    workspace: Workspace
    open_in: Callable[[str, Handoff], None]
    labs_for: Callable[[Handoff], list[tuple[str, str]]]
    open_dialog: Callable[[], None]
    models: Models
    published: Callable[[Artifact], None]
    reduced_motion: bool = False


class Lab(QWidget):
    """Base of all labs. Subclasses declare `name`, `title`, `promise` and fill `self.frame`."""

    name: ClassVar[str]
    title: ClassVar[str]
    promise: ClassVar[str]

    def __init__(self, context: LabContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.frame = LabFrame(tr(self.title), tr(self.promise))
        self.setAccessibleName(tr(self.title))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.frame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def attempt(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Do what the person asked for; a LabError goes to the lab's own bar and None comes back."""
        self.frame.messages.clear()
        try:
            return action(*arguments)
        except LabError as error:
            self.frame.messages.show_problem(error)
            return None

    def ask(
        self, purpose: str, make_stage: Callable[[], Iterator[Any]], title: str, then: Callable[[Any], None]
    ) -> None:
        """Run a stage for its result alone; a LabError goes to the lab's own bar, a stop says nothing.

        Args:
            purpose: Names the slot: a new question takes the place of the last one with this purpose.
            make_stage: Checks the arguments and gives the stage.
            title: What is being done, for the job strip.
            then: Told the result.

        Raises:
            LabError: From `make_stage`.
        """

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                then(outcome.finished.result)
            self.show_failure(outcome)

        self.context.runner.start(
            Slot(self.name, purpose), make_stage, title=title, on_events=lambda events: None, on_end=end
        )

    def show_failure(self, outcome: Outcome) -> None:
        """Show in the lab's own bar what a person can mend of a job's end; any other end says nothing."""
        if isinstance(outcome, Failed) and isinstance(outcome.error, LabError):
            self.frame.messages.show_problem(outcome.error)

    def receive(self, handoff: Handoff) -> None:
        """Open what another lab, the command line or a drop hands over."""

    def handoff(self) -> Handoff:
        """What "Open in…" would carry to another lab right now."""
        return Handoff()

    def open_files(self, files: list[Path]) -> None:
        """Open files that were chosen, dropped or named on the command line.

        Raises:
            LabError: Nothing here can be made of them.
        """
        raise LabError(
            f"{tr(self.title)} opens no files such as {files[0].name}.", "Drop the file on another lab."
        )

    def stand_alone(self) -> None:
        """Leave out what somebody who was given one file to work on does not need."""

    def pictures(self) -> dict[str, QWidget]:
        """The pictures of the page in view, by title, for File > Export picture."""
        return {}

    def artifact_changed(self) -> None:
        """The workspace's artifacts have changed."""

    def save_state(self) -> dict[str, Any]:
        """What is to be restored at the next start, as JSON values."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave, in this or an earlier version: anything may be missing."""

    def show_scene(self) -> None:
        """Set up the sample scene that the lab opens with when there is nothing to restore."""

    def take_focus(self) -> None:
        """Put the keyboard where a person would begin."""

    def poses(self) -> list[tuple[str, Callable[[], object], Callable[[], bool]]]:
        """What `llmlab screenshots` shows: (name, how to get there, whether it is there)."""
        return [("scene", self.show_scene, lambda: True)]

    def busy(self) -> Iterable[str]:
        """Sentences on unfinished work that closing the window would end; empty when there is none."""
        return ()
