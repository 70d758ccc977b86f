"""The tools over a cloud: what dragging does, isolating, kept views, and taking the selection away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QMenu, QToolButton, QWidget

from labapp.labs.embeddings.cloud_view import CloudView, Tool
from labapp.labs.embeddings.splat import ZOOMS, Camera
from labapp.widgets.parts import button, flat_button
from labapp.words import tr

TOOLS = (
    (Tool.TURN, "rotate-orbit", "Turn: drag turns or moves, the wheel zooms, Shift moves"),
    (Tool.RECTANGLE, "select-drag", "Select by a rectangle; Shift adds to the selection"),
    (Tool.LASSO, "lasso", "Select by a lasso; Shift adds to the selection"),
)
VIEWS = 12  # that are kept at most


class CloudTools(QWidget):
    """A row of buttons about one view.

    Args:
        view: Which.
        three: Whether it begins with three directions.

    Attributes:
        in_three: Whether three directions are wanted, where the picture can have them.
    """

    directions_changed = Signal()
    view_kept = Signal()
    view_wanted = Signal(int)
    copy_wanted = Signal()
    export_wanted = Signal()

    def __init__(self, view: CloudView, three: bool = True) -> None:
        super().__init__()
        self._view = view
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        self.three = button(tr("3-D"), role="sample")
        self.three.setCheckable(True)
        self.three.clicked.connect(self._three_clicked)
        self.in_three = three
        self.only_two("")
        row.addWidget(self.three)
        row.addSpacing(8)
        self._group = QButtonGroup(self)
        self.tools: dict[Tool, QToolButton] = {}
        for tool, icon, name in TOOLS:
            made = _checkable(icon, tr(name), row)
            made.clicked.connect(partial(self.use, tool))
            self._group.addButton(made)
            self.tools[tool] = made
        self.tools[Tool.TURN].setChecked(True)
        row.addSpacing(8)
        self.isolated = _checkable("filter-outline", tr("Show the selected points only, or all again"), row)
        self.isolated.clicked.connect(self._isolate)
        self.copied = flat_button(
            "content-copy", tr("Copy the names of the selected points"), self.copy_wanted.emit
        )
        self.saved = flat_button(
            "tray-arrow-down",
            tr("Save the selected points for the Embedding Projector"),
            self.export_wanted.emit,
        )
        self.kept = flat_button("bookmark-outline", tr("Keep this view, or go back to one that was kept"))
        self.kept.clicked.connect(self._open_views)
        reset = flat_button("fit-to-screen-outline", tr("Show the whole cloud (0)"), view.reset)
        for made in (self.copied, self.saved, self.kept, reset):
            row.addWidget(made)
        self._views: Callable[[], list[str]] = list
        view.selection_changed.connect(self.refresh)
        self.refresh()

    def set_views(self, names: Callable[[], list[str]]) -> None:
        """Where the names of kept views come from."""
        self._views = names

    def set_three(self, on: bool) -> None:
        """Want three directions, or two."""
        self.in_three = on
        self.three.setChecked(on and self.three.isEnabled())

    def only_two(self, why: str) -> None:
        """Say that there are two directions and no more, and why; "" lets one choose."""
        self.three.setText(tr("2-D only") if why else tr("3-D"))
        self.three.setToolTip(why or tr("Three directions instead of two"))
        self.three.setAccessibleDescription(why)
        self.three.setEnabled(not why)
        self.three.setChecked(self.in_three and not why)

    def _three_clicked(self, on: bool) -> None:
        self.in_three = on
        self.directions_changed.emit()

    def use(self, tool: Tool) -> None:
        """Let dragging do something else."""
        self.tools[tool].setChecked(True)
        self._view.tool = tool

    def refresh(self) -> None:
        """Follow the selection."""
        some = len(self._view.selected) > 0
        self.isolated.setEnabled(some or self.isolated.isChecked())
        self.copied.setEnabled(some)
        self.saved.setEnabled(some)

    def show_all(self) -> None:
        """Give up isolating."""
        self.isolated.setChecked(False)
        self.refresh()

    def _isolate(self) -> None:
        on = self.isolated.isChecked() and len(self._view.selected) > 0
        self.isolated.setChecked(on)
        self._view.isolate(self._view.selected if on else None)
        if on:
            self._view.select(np.zeros(0, dtype=np.intp))  # all in view are it: nothing need stand out
        self.refresh()

    def menu(self) -> QMenu:
        """Keeping a view, and those that are kept."""
        menu = QMenu(self)
        keep = menu.addAction(tr("Keep this view"))
        keep.triggered.connect(lambda _=False: self.view_kept.emit())
        names = self._views()
        if names:
            menu.addSeparator()
        for n, name in enumerate(names):
            action = menu.addAction(name.replace("&", "&&"))
            action.triggered.connect(lambda _=False, n=n: self.view_wanted.emit(n))
        return menu

    def _open_views(self) -> None:
        menu = self.menu()
        menu.exec(self.kept.mapToGlobal(QPoint(0, self.kept.height())))
        menu.deleteLater()


def _checkable(icon: str, name: str, row: QHBoxLayout) -> QToolButton:
    made = flat_button(icon, name)
    made.setCheckable(True)
    row.addWidget(made)
    return made


def camera_to_json(camera: Camera) -> dict[str, Any]:
    """A camera as JSON values."""
    return {
        "turn": [round(float(x), 6) for x in camera.turn.ravel()],
        "zoom": camera.zoom, "shift": list(camera.shift), "flat": camera.flat,
    }  # fmt: skip


def camera_from(state: object) -> Camera | None:
    """A camera as `camera_to_json` gave it, or None where it is none.

    >>> camera_from(camera_to_json(Camera(zoom=2.0))).zoom, camera_from({"zoom": "near"})
    (2.0, None)
    """
    if not isinstance(state, dict):
        return None
    turn, zoom, shift = state.get("turn"), state.get("zoom"), state.get("shift")
    numbers = [*turn, *shift, zoom] if isinstance(turn, list) and isinstance(shift, list) else []
    if len(numbers) != 12 or not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers):
        return None
    made = np.array(turn, dtype=np.float32).reshape(3, 3)
    if not np.allclose(made @ made.T, np.eye(3), atol=1e-3):
        return None
    zoom = min(max(float(numbers[-1]), ZOOMS[0]), ZOOMS[1])
    return Camera(made, zoom, (float(numbers[9]), float(numbers[10])), state.get("flat") is True)
