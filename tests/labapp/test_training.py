"""The Run and Runs pages as a person uses them: a recording, a run that is small and real, and its copies."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from core.training.events import Began, Sampled, SeenBatch, Stepped, Validated
from core.training.history import History, read_history
from core.training.knowledge import read_known
from core.training.presets import PRESETS
from labapp.labs.training import TrainingLab
from labapp.window import Window
from tests.labapp.opened import PATIENCE, opened, wait
from tests.labapp.training_pages import small_run

BEGAN = Began(0, 4, 1000, 5000, 500, 64, 2048, math.log(2048), 5.3, 0.7, "f32", 1e9)
STEP = Stepped(1, 7.6, 0.003, 1.5, 64, 0.5, 128.0, 0.25, 1.5)


@dataclass
class Held:
    """A window that the test lets go of at its end: pytest keeps what a fixture gave."""

    window: Window


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run."""
    root = tmp_path_factory.mktemp("workspace")
    small_run(root, "taste")
    return root


@pytest.fixture
def held(qtbot: QtBot, root: Path, tmp_path: Path) -> Iterator[Held]:
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    with opened(qtbot, tmp_path, lab="training") as window:
        held = Held(window)
        qtbot.waitUntil(lambda: training(held.window).run.curves is not None, timeout=PATIENCE)
        try:
            yield held
        finally:
            held.__dict__.clear()
            del window


def training(window: Window) -> TrainingLab:
    assert isinstance(window.lab, TrainingLab)
    return window.lab


def small_plan(lab: TrainingLab, steps: int) -> None:
    """A plan that takes a second."""
    lab.run.form.set_values({"steps": steps, "batch": 2})
    lab.run.more.set_values({"evaluate_every": 4, "save_every": 4, "warmup": 1, "precision": "f32"})
    lab.run.shape.set_values({"layers": 1, "width": 32, "heads": 2, "context": 64})
    lab.run.world.set_values({"words": 1500})


def test_the_lab_asks_about_a_recording_and_plays_it_to_its_end(qtbot: QtBot, held: Held) -> None:
    window = held.window
    run = training(window).run
    assert run.prediction.asking
    assert "recording" in run.heading.text()
    asked_at = run.history.steps[-1].step
    run.prediction.answer(2)
    wait(qtbot, window, lambda: run.history.steps[-1].step > asked_at)
    assert run.history.steps[0].loss == pytest.approx(math.log(2048), abs=0.2)
    assert run.history.validated[-1].loss < 1.5
    assert f"{run.history.validated[-1].loss:.2f} nats" in run.prediction.text
    steps = [one.step for one in run.history.steps]
    assert steps == sorted(set(steps)), "nothing is played twice"


def test_a_run_from_the_window_is_shown_kept_and_listed(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab = training(window)
    small_plan(lab, 4)
    lab.run.start()
    assert not list(lab.frame.messages.text)
    assert list(lab.busy())
    wait(qtbot, window, lambda: lab.run.heard is None)
    assert [one.step for one in lab.run.history.steps] == [1, 2, 3, 4]
    assert lab.run.folder is not None
    assert read_history(lab.run.folder).finished
    assert not list(lab.busy())
    assert lab.run.numbers.rows.row(0)[1] == "4 / 4"
    lab.frame.show_page("runs")
    assert [told.finished for _, told in lab.runs.runs] == [True, True]


def test_a_run_is_paused_taken_one_step_and_stopped_and_goes_on(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab, run = training(window), training(window).run
    small_plan(lab, 20_000)  # more than a fast machine does before the pause
    run.start()
    qtbot.waitUntil(lambda: bool(run.history.steps), timeout=PATIENCE)
    run.pause()
    assert run.step_button.isEnabled()
    run.change_rate(0.5)
    assert "0.5" in run.rate_says.text()
    seen = len(run.history.steps)

    def stepped() -> bool:
        run.one_step()  # a look at validation between two steps takes several
        return bool(run.history.changes) and len(run.history.steps) > seen

    qtbot.waitUntil(stepped, timeout=PATIENCE)
    run.stop()
    wait(qtbot, window, lambda: run.heard is None)
    stopped_at = read_history(run.folder).steps[-1].step  # type: ignore[arg-type]
    assert stopped_at < 20_000
    assert [one.factor for one in read_history(run.folder).changes] == [0.5]  # type: ignore[arg-type]
    run.resume(run.folder.name)  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: run.history.steps[-1].step > stopped_at, timeout=PATIENCE)
    run.stop()
    wait(qtbot, window, lambda: run.heard is None)
    steps = [one.step for one in run.history.steps]
    assert steps == list(range(1, len(steps) + 1)), "every step once, in order"


def test_a_second_run_is_refused_while_one_goes_on(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab = training(window)
    small_plan(lab, 40)
    lab.run.start()
    lab.run.start()
    assert "A run is going on" in lab.frame.messages.text
    lab.run.stop()
    wait(qtbot, window, lambda: lab.run.heard is None)


def test_every_plan_fills_the_form_and_gives_itself_back(held: Held) -> None:
    window = held.window
    run = training(window).run
    for one in PRESETS:
        run.choose_preset(one.name)
        assert run.plan() == one.plan
        assert run.look_for.text() == one.look_for
        assert run.why.text() == one.why


def test_a_dropped_text_is_what_will_be_learned(held: Held, tmp_path: Path) -> None:
    window = held.window
    text = tmp_path / "story.txt"
    text.write_text("Once upon a time.")
    lab = training(window)
    lab.run.start_button.setFocus()
    lab.open_files([text])
    assert lab.run.plan().corpus.path == str(text)
    lab.run.path = ""
    lab.run.start()
    assert "No text is chosen" in lab.frame.messages.text


def test_losses_that_are_no_numbers_leave_gaps_and_break_nothing(held: Held) -> None:
    window = held.window
    run = training(window).run
    run.history = History()
    losses = (7.6, math.nan, math.inf, 1e9, 5.0)
    steps = [replace(STEP, step=n + 1, loss=loss) for n, loss in enumerate(losses)]
    run._add([BEGAN, *steps, Validated(5, math.nan, math.nan, 64), Sampled(5, "The", " cat")])
    curves = run.curves
    assert curves is not None
    for n, name in enumerate(curves.plots):
        curves.choose(n)
        curves.logarithmic.setChecked(n % 2 == 1)
        assert len(curves.plots[name].series[0].y) == 5
    assert run.sample.toPlainText() == "The cat"


def test_the_flat_lines_are_chance_frequencies_and_the_generator(held: Held) -> None:
    window = held.window
    run = training(window).run
    run.history = History()
    run._add([BEGAN, STEP])
    assert run.curves is not None
    levels = [float(series.y[0]) for series in run.curves.plots["loss"].series[3:]]
    assert levels == [math.log(2048), 5.3, 0.7]


def test_a_checkpoint_is_kept_once_and_opened_by_the_other_labs(
    held: Held,
) -> None:
    window = held.window
    lab = training(window)
    lab.frame.show_page("runs")
    runs = lab.runs
    runs.choose(0)
    runs.keep()
    runs.keep()
    kept = lab.context.workspace.artifacts("model")
    assert [one.role for one in kept] == ["base"]
    assert runs.opens, "labs that take a model"
    assert str(lab.run.folder or runs.runs[0][0].folder) in runs.folder_says.text()


def test_the_live_batch_reaches_the_loss_page(held: Held) -> None:
    window = held.window
    lab = training(window)
    info = lab.context.workspace.works("training")[0]
    lab.run.show_run(info.folder, info.name)
    lab.frame.show_page("loss")
    taken: list[SeenBatch] = []
    lab.run.seen.connect(partial(taken.append))
    seen = SeenBatch(3, (5, 6), (1.0,), (((6, 0.37),),))
    lab.run._take([seen])
    assert taken == [seen]


def test_a_checkpoint_is_scored_and_its_figures_stay_with_the_run(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab = training(window)
    info = lab.context.workspace.works("training")[0]
    lab.run.show_run(info.folder, info.name)
    page = lab.knowledge
    lab.frame.show_page("knowledge")
    wait(qtbot, window, lambda: page.picker.loaded is not None and page.growth is not None)
    assert page.series.step == 4
    assert "Nothing is scored yet" in page.heading.text()
    page.questions.setCurrentIndex(0)
    page.score_all()
    wait(qtbot, window, lambda: len(page.known) == len(page.series.steps) == 2)
    assert len(page.whiskers.rows) == 13
    assert "0 of 10 bars reached" in page.heading.text()
    assert "P9 overfitting" in page.gap_says.text()
    page.whiskers.choose(0)
    assert page.title.text() == "A bare question is followed by another question"
    assert page.examples.toPlainText().startswith("✗ ")
    assert "95 % interval" in page.whiskers.accessibleDescription()
    assert page.growth is not None
    assert [list(series.x) for series in page.growth.plot.series] == [[0, 4]] * 8
    assert [one.step for one in read_known(info.folder)] == [0, 4]


def test_how_long_a_plan_takes_is_tried_and_remembered(qtbot: QtBot, held: Held) -> None:
    lab = training(held.window)
    small_plan(lab, 4)
    lab.run.pace.measure()
    wait(qtbot, held.window, lambda: lab.run.pace.says.text().startswith("About "))
    assert "on this machine (a step was tried: " in lab.run.pace.says.text()
    lab.run.choose_preset("taste")
    assert lab.run.pace.says.isHidden()
    small_plan(lab, 8)
    lab.run.pace.show_plan()
    assert not lab.run.pace.says.isHidden()


def test_another_share_of_quizzes_is_set_up_on_the_page_run(held: Held) -> None:
    lab = training(held.window)
    lab.knowledge.experiments[0].click()
    assert lab.frame.page == "run"
    assert lab.run.plan().corpus.quiz_share == 0
    assert "0 % quizzes" in lab.frame.messages.text


def test_a_run_is_ticked_to_be_drawn_and_exported(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = training(held.window)
    lab.frame.show_page("runs")
    runs = lab.runs
    assert runs.overlay is not None
    assert runs.table.checked == {0}
    assert [series.name for series in runs.overlay.plot.series if len(series.x)] == [
        "taste", "the shipped base model",
    ]  # fmt: skip
    runs.table.setCurrentIndex(runs.table.rows.index(0, 0))
    space = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier)
    runs.table.keyPressEvent(space)
    assert runs.table.checked == frozenset()
    assert [series.name for series in runs.overlay.plot.series if len(series.x)] == ["the shipped base model"]
    for ending, save in (("html", runs.save_report), ("csv", runs.save_csv)):
        path = tmp_path / f"report.{ending}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, path=path: (str(path), ""))
        save()
        assert path.stat().st_size > 100
    runs.save_events(tmp_path / "logs")
    assert "tensorboard --logdir" in lab.frame.messages.text
    assert list((tmp_path / "logs").iterdir())
