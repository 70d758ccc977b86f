"""What the colors of a cloud mean, and how true the cloud is; nothing is computed before it is asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QComboBox

from labapp.labs.embeddings.coloring import Coloring, Legend, by_category, by_number, plain
from labapp.labs.embeddings.subject import Opened
from labapp.labs.embeddings.tables import percent
from labapp.words import tr

if TYPE_CHECKING:
    from core.embeddings.projection import Projection
    from labapp.labs.embeddings.cloud import CloudPage

Rows = npt.NDArray[np.intp]
CLUSTERS = 8
SAMPLE = 1_000  # points at which the distortion is measured


class CloudColors(QObject):
    """The choice of colors and their legend.

    Args:
        page: Whose points are colored.

    Attributes:
        said: How true the picture is, in a sentence; "" until it is measured.
    """

    measured = Signal()

    def __init__(self, page: CloudPage) -> None:
        super().__init__(page)
        self.said = ""
        self._page = page
        self._ways: dict[str, npt.NDArray[Any]] = {}  # what was computed to color by, of the points shown
        self.box = QComboBox()
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.activated.connect(lambda _: self.paint())
        self.legend = Legend()

    def begin(self, opened: Opened) -> None:
        """The points are other ones: forget what was computed of those before, and offer what these have."""
        self._ways, self.said = {}, ""
        before = self.box.currentData()
        self.box.clear()
        self.box.addItem(tr("One color"), "")
        for title in opened.vectors.columns:
            self.box.addItem(tr(title.capitalize()), f"column:{title}")
        if opened.vectors.ids is not None:
            self.box.addItem(tr("Token id: frequent tokens first"), "id")
        self.box.addItem(tr("Length of the vector"), "norm")
        self.box.addItem(tr("{k} clusters (k-means)", k=CLUSTERS), "clusters")
        self.box.addItem(tr("Neighbors kept, where measured"), "kept")
        at = self.box.findData(before if before is not None else "column:kind")
        self.box.setCurrentIndex(max(0, at))

    def paint(self) -> None:
        """Color the points as chosen."""
        opened, key = self._page.opened, str(self.box.currentData() or "")
        if opened is None:
            return
        if key == "clusters" and key not in self._ways:
            self._page.lab.attempt(self._cluster, opened)
            return
        if key == "kept" and key not in self._ways:
            self.measure()
            return
        coloring = self._coloring(opened, key)
        self._page.view.set_colors(coloring.colors, coloring.palette)
        self.legend.show_coloring(coloring)

    def _coloring(self, opened: Opened, key: str) -> Coloring:
        title, rows = self.box.currentText(), self._page.rows
        if key.startswith("column:"):
            column = opened.vectors.columns[key.removeprefix("column:")]
            values = [column[row] for row in rows.tolist()]
            if all(value.replace(".", "", 1).isdigit() for value in values[:200]) and len(set(values)) > 8:
                return by_number(title, np.array([_number(value) for value in values]))
            return by_category(title, values)
        if key == "id" and opened.vectors.ids is not None:
            return by_number(title, np.array(opened.vectors.ids, dtype=np.float64)[rows])
        if key == "norm":
            return by_number(title, opened.raw.norms[rows].astype(np.float64))
        if key == "clusters" and key in self._ways:
            return by_category(title, [tr("cluster {n}", n=n + 1) for n in self._ways[key].tolist()])
        if key == "kept" and key in self._ways:
            return by_category(title, self._ways[key].tolist())
        return plain(len(rows))

    # Clusters.

    def _cluster(self, opened: Opened) -> None:
        from core.embeddings.clusters import cluster

        rows = self._page.rows
        self._page.lab.ask(
            "clusters", lambda: cluster(opened.vectors.values[rows], CLUSTERS, seed=0),
            tr("Clustering {n:,} vectors", n=len(rows)), partial(self._clustered, rows),
        )  # fmt: skip

    def _clustered(self, rows: Rows, found: Any) -> None:
        if rows is self._page.rows:
            self._ways["clusters"] = np.asarray(found.labels)
            self.paint()

    # How true it is.

    def measure(self) -> None:
        """Measure how many true neighbors the picture keeps."""
        opened, projection = self._page.opened, self._page.projection
        if opened is not None and projection is not None:
            self._page.lab.attempt(self._measure, opened, projection)

    def _measure(self, opened: Opened, projection: Projection) -> None:
        from core.embeddings.distortion import distortion

        rows = self._page.rows
        values = opened.vectors.values if len(rows) == len(opened.vectors) else opened.vectors.values[rows]
        chosen = SAMPLE if len(rows) > 2 * SAMPLE else None
        self._page.lab.ask(
            "distortion", lambda: distortion(values, projection.points, rows=chosen, seed=0),
            tr("Comparing neighbors"), partial(self._measured, rows),
        )  # fmt: skip

    def _measured(self, rows: Rows, found: Any) -> None:
        if rows is not self._page.rows:
            return
        self.said = tr(
            "{share} of the true {k} nearest neighbors are kept, measured at {n:,} of {all:,} points.",
            share=percent(found.overall), k=found.k, n=found.n, all=len(rows),
        )  # fmt: skip
        said = np.full(len(rows), tr("not measured"), dtype=object)
        kept = np.asarray(found.per_point)
        words = [tr("none"), tr("up to a third"), tr("up to two thirds"), tr("more")]
        said[np.asarray(found.rows)] = [
            words[0 if s == 0 else 1 + min(2, int(s * 2.999))] for s in kept.tolist()
        ]
        self._ways["kept"] = said
        self.measured.emit()
        if self.box.currentData() == "kept":
            self.paint()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
