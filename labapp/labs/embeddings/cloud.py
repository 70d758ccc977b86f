"""Cloud: every vector a point, seen along two or three directions that one chooses, and looked into.

What to notice: a picture of 576 numbers in two or three keeps little, and says how little. Stages:
`core.embeddings.projection`, `tsne`, `in_text`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from labapp.labs.embeddings.cloud_colors import CloudColors
from labapp.labs.embeddings.cloud_tools import CloudTools
from labapp.labs.embeddings.cloud_view import CloudView
from labapp.labs.embeddings.inspector import Inspector
from labapp.labs.embeddings.kept_views import KeptViews
from labapp.labs.embeddings.recipe import Recipe, make_projection, recipe_from
from labapp.labs.embeddings.recipe_choice import RecipeChoice
from labapp.labs.embeddings.selection import Selection
from labapp.labs.embeddings.subject import Opened, SubjectPage
from labapp.labs.embeddings.tables import shown
from labapp.labs.embeddings.text_source import TextSource
from labapp.runner import Done, Outcome, Slot
from labapp.widgets.numbers import Numbers
from labapp.widgets.parts import button, card, controls, field, flat_button, label
from labapp.widgets.prediction import Prediction
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.projection import Projection
    from labapp.labs.embeddings import EmbeddingsLab

Rows = npt.NDArray[np.intp]
SPIN_S = 12.0  # seconds that the scene turns by itself
LANDMARK = 5  # characters of a name, its space among them, from which on it says something


class CloudPage(SubjectPage):
    """What is seen on the left, the cloud in the middle, the chosen point on the right."""

    def __init__(self, lab: EmbeddingsLab) -> None:
        super().__init__(lab)
        self.opened: Opened | None = None
        self.projection: Projection | None = None
        self.recipe = Recipe()  # of what is shown
        self.rows: Rows = np.zeros(0, dtype=np.intp)  # of the vectors that are shown, rising
        self.views = KeptViews(self)
        self.selection = Selection(self)
        self._wanted: Opened | None = None  # of the picture that was asked for last
        self._doing = ""  # what a live picture says of itself
        self._scene: dict[str, Any] | None = None
        self._names_first: Rows = np.zeros(0, dtype=np.intp)
        self._build_controls()
        self._build_picture()
        self.inspector = Inspector(lab)
        self.inspector.row_chosen.connect(self.choose)
        self.details = self.inspector

    # Assembly.

    def _build_controls(self) -> None:
        self.source = TextSource(self.lab)
        self.source.wanted.connect(self.compute)
        self.source.layer_changed.connect(self.compute)
        self.choice = RecipeChoice(self.source)
        self.choice.changed.connect(self.compute)
        self.choice.kind_changed.connect(lambda: self.tools.only_two(self.choice.why_flat))
        self.go = button(tr("Show"), self.compute, tip=tr("Compute this picture"), role="primary")
        self.stop = button(tr("Pause"), self.pause, tip=tr("Hold t-SNE where it is, or go on"))
        self.stop.setEnabled(False)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.go, 1)
        row.addWidget(self.stop)
        self.colors = CloudColors(self)
        self.colors.measured.connect(self._show_caption)
        self.search = QLineEdit()
        self.search.setMaxLength(1000)
        self.search.setClearButtonEnabled(False)
        self.search.returnPressed.connect(self.find)
        tip = tr("Read the search as a regular expression; ^ begins a token, with its space")
        self.regular = flat_button("regex", tip)
        self.regular.setCheckable(True)
        search = QHBoxLayout()
        search.setSpacing(4)
        search.addWidget(
            field(tr("Search"), self.search, tr("Part of a token; Enter marks all that hold it")), 1
        )
        search.addWidget(self.regular, 0, Qt.AlignmentFlag.AlignBottom)
        self.found = label("", "small", wrap=True)
        self.controls = controls(
            self.top,
            self.choice,
            row,
            field(tr("Color by"), self.colors.box, tr("What the colors mean")),
            search,
            self.found,
        )

    def _build_picture(self) -> None:
        self.view = CloudView(tr("The cloud of vectors"))
        self.view.row_chosen.connect(lambda at: self.choose(int(self.rows[at])))
        self.view.row_hovered.connect(self._hovered)
        self.view.selection_changed.connect(self._selected)
        self.tools = CloudTools(self.view)
        self.tools.directions_changed.connect(self.compute)
        self.tools.view_kept.connect(self.views.keep)
        self.tools.view_wanted.connect(self.views.show)
        self.tools.copy_wanted.connect(self.selection.copy_names)
        self.tools.export_wanted.connect(self.selection.export)
        self.tools.set_views(lambda: self.views.names)
        self.readout = label("", "small")
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.readout.setMinimumWidth(10)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.tools)
        self.true = button(
            tr("How true is it?"), self.colors.measure, role="sample",
            tip=tr("Measure how many of the true nearest neighbors are neighbors in the picture, too"),
        )  # fmt: skip
        head.addWidget(self.readout, 1)
        head.addWidget(self.true)
        self.caption = label("", "small", wrap=True)
        self.prediction = Prediction()
        self.prediction.answered.connect(self._answered)
        self.picture = QWidget()
        layout = QVBoxLayout(self.picture)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.prediction)
        layout.addWidget(
            card(head, self.source, self.view, self.colors.legend, self.caption, margin=8, spacing=4,
                 grows=self.view),
            1,
        )  # fmt: skip

    # The vectors, and what is seen of them.

    def take(self, opened: Opened) -> None:
        self.choice.set_width(opened.vectors.width)
        self.found.setText("")
        text = self.recipe.text or self.choice.in_text
        if (self.recipe.kind != "raw" or text) and not self.views.waiting:  # nothing is computed unasked
            self.choice.show_recipe(Recipe(axes=self.recipe.axes))
        self.compute()

    def compute(self) -> None:
        """Make the picture that is chosen."""
        self.lab.attempt(self._compute, self.choice.recipe(self.tools.in_three))

    def _compute(self, recipe: Recipe) -> None:
        table = self.subject.opened
        if self.choice.in_text:
            self.source.need(recipe, self.subject.picker, self._start_text)
        elif table is not None:
            self._start(table, recipe)

    def _start_text(self, opened: Opened, recipe: Recipe) -> None:
        self.lab.attempt(self._start, opened, recipe)

    def _start(self, opened: Opened, recipe: Recipe) -> None:
        live = recipe.kind == "tsne"
        same = _only_layer_differs(recipe, self.recipe) and self.projection is not None
        before = self.projection.points if same and self.projection is not None else None
        self._wanted = opened
        self.context.runner.start(
            Slot(self.lab.name, "picture"),
            lambda: make_projection(recipe, opened.vectors, before),
            title=tr("t-SNE of {n:,} vectors", n=len(recipe.rows(opened.vectors)))
            if live
            else tr("Projecting"),
            heavy=live,
            on_events=partial(self._on_steps, opened, recipe),
            on_end=partial(self._ended, opened, recipe),
        )
        self.stop.setEnabled(live)
        self.stop.setText(tr("Pause"))

    def _on_steps(self, opened: Opened, recipe: Recipe, events: list[Any]) -> None:
        steps = [event for event in events if hasattr(event, "points")]
        if steps and opened is self._wanted:
            last = steps[-1]
            first = recipe != self.recipe or len(self.rows) != len(last.points)
            self._doing = tr("t-SNE, step {n:,}, divergence {kl:.2f} nats", n=last.iteration, kl=last.kl)
            self._show_points(opened, recipe, last.points, keep_camera=not first)

    def _ended(self, opened: Opened, recipe: Recipe, outcome: Outcome) -> None:
        if self.context.runner.job(Slot(self.lab.name, "picture")) is None:
            self.stop.setEnabled(False)
        self._doing = ""
        if isinstance(outcome, Done) and opened is self._wanted:
            made = outcome.finished.result
            same = recipe == self.recipe or _only_layer_differs(recipe, self.recipe)
            self._show_points(opened, recipe, made.points, keep_camera=same)
            self.projection = made
            self.view.set_axes(made.labels if len(made.axes) else ())
            self.views.picture_is_there()
            self._show_caption()
        self.lab.show_failure(outcome)

    def _show_points(
        self, opened: Opened, recipe: Recipe, points: npt.NDArray[np.float32], keep_camera: bool
    ) -> None:
        rows = recipe.rows(opened.vectors)
        if opened is not self.opened or recipe != self.recipe or len(rows) != len(self.rows):
            before = self._look_into(opened)
            self.recipe, self.rows, self.projection = recipe, rows, None
            self.tools.show_all()
            self.colors.begin(opened)
            self.view.isolate(None)
            self._names_first = self._order(opened)
            self.view.set_points(points, self._name_of, self._names_first, keep_camera)
            self.view.set_names(self._name_of)
            self.colors.paint()
            self.view.choose(None if before is None else self._place(before))
        else:
            self.view.set_points(points, self._name_of, self._names_first, keep_camera)
        self._show_caption()

    def _look_into(self, opened: Opened) -> int | None:
        """Let the inspector follow; a vector stays in it where the names are the same."""
        row, before = self.inspector.row, self.opened
        self.opened = opened
        if opened is before:
            return row
        self.inspector.take(opened)
        if before is None or opened.vectors.names != before.vectors.names:
            self.found.setText("")  # what was found is no longer there
        if row is None or before is None or opened.vectors.names != before.vectors.names:
            return None
        self.inspector.show_row(row)
        return row

    def _order(self, opened: Opened) -> Rows:
        """Places of the points whose names come first: words of some letters, in the table's order."""
        names = opened.vectors.names
        rows = [row for row in opened.vectors.words.tolist() if len(names[row]) >= LANDMARK]
        words = np.flatnonzero(np.isin(self.rows, np.array(rows, dtype=np.intp), assume_unique=True))
        rest = np.setdiff1d(np.arange(len(self.rows)), words, assume_unique=True)
        return np.concatenate([words, rest])

    def _name_of(self, at: int) -> str:
        return shown(self.opened.vectors.names[int(self.rows[at])])[:40] if self.opened is not None else ""

    def _place(self, row: int) -> int | None:
        """Where a vector stands among those shown."""
        at = int(np.searchsorted(self.rows, row))
        return at if at < len(self.rows) and self.rows[at] == row else None

    def pause(self) -> None:
        """Hold t-SNE, or let it go on."""
        job = self.context.runner.job(Slot(self.lab.name, "picture"))
        if job is not None:
            if job.paused:
                job.resume()
            else:
                job.pause()
            self.stop.setText(tr("Go on") if job.paused else tr("Pause"))

    # What is chosen, found and selected.

    def choose(self, row: int) -> None:
        """Look into a vector."""
        self.inspector.show_row(row)
        at = self._place(row)
        self.view.choose(at)
        if at is not None:
            self.view.go_to(at)

    def find(self) -> None:
        """Mark what the search finds, and look into the first."""
        if self.opened is not None:
            self.lab.attempt(self._find, self.opened, self.search.text())

    def _find(self, opened: Opened, text: str) -> None:
        rows = np.array(opened.vectors.find(text, self.regular.isChecked()), dtype=np.intp)
        here = rows[np.isin(rows, self.rows)]
        exact = [row for row in here.tolist() if opened.vectors.names[row].strip() == text.strip()]
        exact.sort(
            key=lambda row: opened.vectors.names[row][:1] != " "
        )  # the whole word before a piece of one
        self.view.set_marked(np.searchsorted(self.rows, here))
        self.found.setText(
            tr("{n:,} found, {here:,} of them in the picture", n=len(rows), here=len(here)) if text else ""
        )
        if len(here):
            self.choose(exact[0] if exact else int(here[0]))

    def _hovered(self, at: int) -> None:
        self.readout.setText("" if at < 0 or self.opened is None else self._in_words(int(self.rows[at])))

    def _in_words(self, row: int) -> str:
        vectors = self.opened.vectors if self.opened is not None else None
        if vectors is None:
            return ""
        parts = [f"“{shown(vectors.names[row])[:30]}”"]
        parts += [column[row] for column in list(vectors.columns.values())[:1]]
        return " · ".join(parts)

    def _selected(self) -> None:
        self._show_caption()

    # In words and numbers.

    def _show_caption(self) -> None:
        self.caption.setText(self.summary())
        self.view.describe(self.summary())

    def summary(self) -> str:
        opened, projection = self.opened, self.projection
        if opened is None or not len(self.rows):
            return ""
        which = tr("all") if len(self.rows) == len(opened.vectors) else tr("{n:,} of", n=len(self.rows))
        parts = [tr("{which} {n:,} vectors", which=which, n=len(opened.vectors)).capitalize()]
        if self.recipe.text:
            parts = [opened.vectors.source]
        if self._doing:
            parts.append(self._doing)
        elif projection is not None:
            parts.append(self._seen_by(projection))
        if len(self.view.selected):
            parts.append(tr("{n:,} selected", n=len(self.view.selected)))
        if self.recipe.text:
            parts.append(tr("cosines {origin}", origin=opened.centered.centered_on))
        return " · ".join([*parts, self.colors.said] if self.colors.said else parts)

    def _seen_by(self, projection: Projection) -> str:
        labels = ", ".join(projection.labels)
        if projection.explained is None:
            return f"{projection.title}: {projection.solver}"
        shares = ", ".join(f"{100 * share:.1f}" for share in projection.explained.tolist())
        return tr("{title} ({solver}): {labels} carry {shares} % of the variance", title=projection.title,
                  solver=projection.solver, labels=labels, shares=shares)  # fmt: skip

    def numbers(self) -> Numbers:
        opened, projection = self.opened, self.projection
        if opened is None or projection is None:
            return (), ()
        rows = self.view.selected if len(self.view.selected) else np.arange(len(self.rows))
        names, points = opened.vectors.names, projection.points
        made = [
            (shown(names[int(self.rows[at])]), *(f"{x:.4g}" for x in points[at].tolist()))
            for at in rows.tolist()
        ]
        return (tr("name"), *projection.labels), made

    # The scene.

    def show_scene(self, scene: dict[str, Any]) -> None:
        """Ask how much three numbers of many tell; the cloud turns meanwhile."""
        self._scene = scene
        self.prediction.ask(tr(scene["question"]), [tr(each["answer"]) for each in scene["choices"]])
        if not self.context.reduced_motion:
            self.view.spin(SPIN_S)

    def _answered(self, index: int) -> None:
        scene = self._scene
        if scene is not None:
            self.prediction.reveal(tr(scene["choices"][index]["says"]))
            self.choice.show_recipe(recipe_from(scene["then"]))
            self.compute()

    def take_focus(self) -> None:
        self.view.setFocus()

    def pictures(self) -> dict[str, QWidget]:
        return {tr("Cloud of vectors"): self.view}

    def open_files(self, files: list[Path]) -> None:
        self.lab.open_files(files)

    def save_state(self) -> dict[str, Any]:
        return {
            "recipe": self.choice.recipe(self.tools.in_three).to_json(), "kept": self.views.to_json(),
            "three": self.tools.in_three, "color": self.colors.box.currentData(),
        }  # fmt: skip

    def restore_state(self, state: dict[str, Any]) -> None:
        self.views.restore(state.get("kept"))
        self.tools.set_three(state.get("three") is not False)
        recipe = recipe_from(state.get("recipe"))
        if recipe.text:  # it stands ready, and is read when it is asked for
            self.source.show_text(recipe.text, recipe.layer)
        self.choice.show_recipe(replace(recipe, text="", layer=0))


def _only_layer_differs(a: Recipe, b: Recipe) -> bool:
    """Whether two pictures show the same tokens of a text, at different layers."""
    return bool(a.text) and a.layer != b.layer and replace(a, layer=b.layer) == b
