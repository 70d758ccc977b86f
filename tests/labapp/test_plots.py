"""Plots: what they say, and that no label is cut off."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from labapp.plots import line_plot


def test_a_low_plot_has_its_y_label_on_top(qtbot: QtBot) -> None:
    plot = line_plot("Compression", x=("merges learned", ""), y=("characters/token", ""))
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    plot.show()
    axis = plot.view.getPlotItem().getAxis("left")
    assert axis.label.isVisible()
    assert plot._readout.text() == ""
    plot.resize(400, 130)
    assert not axis.label.isVisible()
    assert plot._readout.text() == "characters/token"
    plot.resize(400, 300)
    assert axis.label.isVisible()
    assert plot._readout.text() == ""


def test_a_plot_says_its_numbers_and_what_is_missing(qtbot: QtBot) -> None:
    plot = line_plot("Loss", x=("steps", ""), y=("loss", "nats"))
    qtbot.addWidget(plot)
    plot.set_data(plot.add_curve("train"), [1, 2, 3], [4.0, float("nan"), 2.0])
    assert plot.in_words() == "train goes from 4 to 2 while steps goes from 1 to 3."
    assert plot.as_csv().splitlines()[0] == "series,steps,loss (nats)"
    assert "1 values" in plot._title.text()
