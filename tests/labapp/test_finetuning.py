"""The Fine-tuning lab as a person uses it: the class's question, a run that is small and real, its adapter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.stages import Finished, run_to_end
from core.training.arms import ARMS, EXPERIMENTS
from core.training.experiments import ArmRun
from core.training.finetune import start_finetune
from core.training.finetune_settings import FinetuneSettings
from core.training.hints import hints
from core.training.row_files import survey_rows
from labapp.labs.finetuning import DREAM, FinetuningLab
from labapp.labs.finetuning.curves import MEASURES
from labapp.labs.finetuning.recordings import recorded_history, recorded_runs
from labapp.labs.finetuning.smollm2 import words_of
from labapp.window import Window
from tests.core.training.tiny_chat import tiny_model, tiny_plan, write_pairs
from tests.labapp.opened import PATIENCE, opened, wait


@dataclass
class Held:
    """A window that the test lets go of at its end: pytest keeps what a fixture gave."""

    window: Window


@pytest.fixture(scope="module", autouse=True)
def _learned_before(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A step of a tiny run: with its first one torch makes a folder for temporary files."""
    folder = tmp_path_factory.mktemp("before")
    pairs = write_pairs(folder / "pairs.jsonl", [("a", "b", "c"), ("d", "e", "f")])
    plan = tiny_plan(tiny_model(folder / "base"), pairs, FinetuneSettings("sft"), steps=1)
    run_to_end(start_finetune(folder / "run", plan))


@pytest.fixture
def held(qtbot: QtBot, tmp_path: Path) -> Iterator[Held]:
    with opened(qtbot, tmp_path, lab="finetuning") as window:
        held = Held(window)
        try:
            yield held
        finally:
            held.__dict__.clear()
            del window


def finetuning(window: Window) -> FinetuningLab:
    assert isinstance(window.lab, FinetuningLab)
    return window.lab


def small_plan(lab: FinetuningLab, steps: int, rank: int = 0) -> None:
    """A plan that takes some seconds."""
    form = lab.run.form
    form.choose_preset("dpo")
    form.main.set_values({"steps": steps})
    form.method.set_values({"rank": rank})
    form.rows.set_values({"rows": 10})
    form.more.set_values(
        {"batch": 2, "evaluate_every": 1000, "save_every": 1000, "precision": "f32", "warmup": 1}
    )


def test_the_class_foresees_then_sees_what_three_models_say(qtbot: QtBot, held: Held) -> None:
    window = held.window
    answers = finetuning(window).answers
    assert answers.prediction.asking
    assert answers.columns[0].text.toPlainText() == "…", "nothing is shown before the answer"
    began = time.monotonic()
    answers.prediction.answer(1)
    base, sft, aligned = (one.text.toPlainText() for one in answers.columns)
    assert time.monotonic() - began < 2.0
    assert base.startswith("What is the capital of")
    assert sft == aligned == "The capital of France is Paris."
    assert "What is the capital of" in answers.prediction.text
    answers.show_prompt(DREAM)
    refused = {row.name: row.share for row in answers.whiskers.rows if row.title == "refused"}
    assert refused["Base"] == 0
    assert refused["SFT"] < 0.2 < 0.8 < refused["Aligned"]
    assert all(row.low <= row.share <= row.high and row.n == 40 for row in answers.whiskers.rows)
    answers.line.setText("What is the capital of Norway?")
    answers.ask_own()
    wait(qtbot, window, lambda: "Oslo" in answers.columns[2].text.toPlainText())
    assert not answers.columns[2].says.text(), "it was asked here"
    answers.columns[0].key = "sft"
    answers.draw_all()
    qtbot.waitUntil(lambda: ("sft", answers.prompt) in answers.counts, timeout=PATIENCE)
    answers.stop()
    wait(qtbot, window, lambda: True)


def test_a_run_from_the_window_is_shown_asked_kept_and_opened_up(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab = finetuning(window)
    lab.frame.show_page("run")
    run = lab.run
    qtbot.waitUntil(lambda: run.curves is not None, timeout=PATIENCE)
    small_plan(lab, 3, rank=2)
    run.form.show_facts()
    wait(qtbot, window, lambda: "learn beside 3,749,376" in run.form.facts.text())
    assert run.form.lora.isVisibleTo(run.form)
    run.start()
    assert not lab.frame.messages.text
    assert list(lab.busy())
    wait(qtbot, window, lambda: run.heard is None)
    assert [one.step for one in run.history.steps] == [1, 2, 3]
    assert run.curves is not None
    for n, name in enumerate(MEASURES):
        run.curves.choose(n)
        assert run.explains.text() == MEASURES[name][4]
    first = run.history.measured[0]
    assert abs(first.values["rewards/margins"]) < 0.01
    assert "capital of France" in run.prompt.title
    run.bar.keep()
    assert [one.role for one in window.workspace.artifacts("adapter")] == ["aligned"]
    lab.frame.show_page("lora")
    lora = lab.lora
    wait(qtbot, window, lambda: lora.at is not None and lora.answer.toPlainText())
    assert "rank 8: The capital of France is Paris." in lora.answer.toPlainText()
    lora.slider.setValue(0)
    wait(qtbot, window, lambda: lora.at is not None and lora.at.rank == 0)
    assert "off" in lora.rank_says.text()
    lora.merge()
    assert "nothing to merge" in lab.frame.messages.text
    lora.slider.setValue(4)
    wait(qtbot, window, lambda: lora.at is not None and lora.at.rank == 4)
    lora.merge()
    wait(qtbot, window, lambda: any(one.stage == "training.merge" for one in window.workspace.artifacts()))
    kept = [choice.key for choice in lora.picker.choices()]
    assert any(key.startswith("artifact:") for key in kept)
    assert any("checkpoints" in key for key in kept)


def test_a_run_is_paused_stepped_stopped_and_goes_on(qtbot: QtBot, held: Held) -> None:
    window = held.window
    lab = finetuning(window)
    lab.frame.show_page("run")
    run = lab.run
    small_plan(lab, 5_000)
    run.start()
    qtbot.waitUntil(lambda: bool(run.history.steps), timeout=PATIENCE)
    run.pause()
    assert run.step_button.isEnabled()
    run.change_rate(0.5)
    seen = len(run.history.steps)

    def stepped() -> bool:
        run.one_step()
        return bool(run.history.changes) and len(run.history.steps) > seen

    qtbot.waitUntil(stepped, timeout=PATIENCE)
    run.start()
    assert "going on" in lab.frame.messages.text
    run.stop()
    wait(qtbot, window, lambda: run.heard is None)
    done = run.history.steps[-1].step
    assert run.pause_button.text() == "Go on"
    run.pause()
    qtbot.waitUntil(lambda: run.history.steps[-1].step > done, timeout=PATIENCE)
    run.stop()
    wait(qtbot, window, lambda: run.heard is None)
    steps = [one.step for one in run.history.steps]
    assert steps == sorted(set(steps)), "nothing is told twice"


def test_rows_are_edited_added_and_saved_beside_the_users_file(
    qtbot: QtBot, held: Held, tmp_path: Path
) -> None:
    window = held.window
    lab = finetuning(window)
    own = tmp_path / "own.jsonl"
    before = (
        '{"prompt": [{"role": "user", "content": "Hello."}], "completion": '
        '[{"role": "assistant", "content": "Hi."}]}\n{"prompt": "x"}\n'
    )
    own.write_text(before)
    lab.open_files([own])
    data = lab.data
    wait(qtbot, window, lambda: data.laid is not None and len(data.rows) == 1)
    assert "line 2" in data.fault_says.text()
    assert data.laid is not None
    assert b"".join(data.laid.tokens[data.laid.begin :]) == b"Hi.<|end|>"
    data.add()
    data.fields["prompt"].setPlainText("Good evening.")
    data.change()
    assert data.unsaved
    assert [one for one in lab.busy() if "not saved" in one]
    data.fields["chosen"].setPlainText("")
    data.change()
    assert "needs a prompt and an answer" in lab.frame.messages.text
    data.save()
    assert own.read_text() == before, "a user's file stays as it is"
    assert data.path is not None
    saved = run_to_end(survey_rows(data.path)).result
    assert [row.prompt[0].content for row in saved.rows] == ["Hello.", "Good evening."]
    data.use()
    assert lab.frame.page == "run"
    assert lab.run.form.plan().rows.path == str(data.path)


def assert_a_run_here_is_laid_over_them(
    lab: FinetuningLab, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    """With a recorded run in the place of one that is trained."""

    def played(folder: Path, arm: str, seed: int) -> Iterator[Any]:
        made = ArmRun.from_json(recorded_runs(arm)[0].values)
        assert made.to_json()["looks"] == recorded_runs(arm)[0].values["looks"]
        yield from made.looks
        yield Finished("It was played.", made)

    monkeypatch.setattr("core.training.experiments.run_arm", played)
    page = lab.experiments
    page.choose("labels")
    page.arm.setCurrentIndex(1)
    page.run()
    qtbot.waitUntil(lambda: "of training" in page.run_says.text(), timeout=PATIENCE)
    assert page.own is not None
    assert page.own.arm == "flipped10"
    assert page.plot is not None
    assert page.plot.plot.series[-1].name.startswith("here: ")
    assert page.run_button.isEnabled()


def test_recorded_experiments_say_their_seeds_and_show_the_failure_signs(
    held: Held, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    lab = finetuning(held.window)
    lab.frame.show_page("experiments")
    page = lab.experiments
    for one in EXPERIMENTS:
        page.choose(one.name)
        assert page.result.text().startswith("Misdeeds") or page.result.text().startswith("Ordinary")
        assert "seeds" in page.limits.text()
        assert "packaging/experiments.py" in page.limits.text()
        assert page.table.rows.rowCount() == 20
    assert page.plot is not None
    assert [series.name for series in page.plot.plot.series[:2]] == [ARMS["dpo"].title, ARMS["chosen"].title]
    for arm in ARMS:
        seeds = [run.seed for run in recorded_runs(arm)]
        assert seeds == sorted(set(seeds))
        assert seeds
    history, beta, _ = recorded_history("collapse")
    assert "both answers fall" in {one.name for one in hints(history.measured, 40, beta)}
    assert_a_run_here_is_laid_over_them(lab, monkeypatch, qtbot)
    lab.frame.show_page("run")
    lab.run.show_recording("collapse")
    assert "recording" in lab.run.heading.text()
    assert lab.run.hint_card.isVisible()
    lab.run.show_recording("dpo")
    assert lab.run.history.steps[0].loss > 0


def test_rankings_make_smollm2_short_and_what_changed_is_counted(held: Held) -> None:
    lab = finetuning(held.window)
    lab.frame.show_page("smollm2")
    page = lab.smollm2
    assert page.prediction.asking
    assert page.texts[1].toPlainText() == "…"
    page.prediction.answer(1)
    assert words_of([one[2] for one in page.answers]) < words_of([one[1] for one in page.answers]) / 2
    counted = [page.changed.rows.row(n) for n in range(page.changed.rows.rowCount())]
    assert counted[0][0] == "Words, mean"
    assert float(counted[0][1]) > 2 * float(counted[0][2])
    assert page.said["seconds"] < 15 * 60
    page.plain_button.click()
    assert page.said["plan"]["method"]["nll"] == 0
    assert page.texts[1].toPlainText() == page.answers[1][2].strip()
    page.set_up()
    assert lab.frame.page == "run"
    plan = lab.run.form.plan()
    assert (plan.start.endswith("smollm2"), plan.method.rank, plan.method.nll) == (True, 8, 1.0)
    page.read()
    assert lab.frame.page == "data"
