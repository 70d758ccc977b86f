"""The Copies page as a person uses it, on runs of four steps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.stages import run_to_end
from core.training.copies import find_copies
from labapp.labs.training.parrot import ParrotPage
from labapp.labs.training.questions import lesson
from tests.labapp.training_pages import Shown, opened_page, small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs."""
    root = tmp_path_factory.mktemp("workspace")
    small_run(root, "taste")
    small_run(root, "overfit")
    return root


@pytest.fixture
def root(tmp_path: Path, trained: Path) -> Path:
    """That workspace, fresh for every test: a window that closes writes its state there."""
    return shutil.copytree(trained, tmp_path / "workspace")


@pytest.fixture
def shown(qtbot: QtBot, root: Path) -> Iterator[Shown[ParrotPage]]:
    with opened_page(qtbot, root, "parrot", ParrotPage) as shown:
        shown.wait(lambda: shown.page.mine.compared is not None and shown.page.overfit.compared is not None)
        yield shown


def test_the_newest_checkpoint_writes_and_is_compared_with_its_own_training_text(
    shown: Shown[ParrotPage],
) -> None:
    page = shown.page
    assert page.picker.title == "Step 4"
    assert "the run “taste”" in page.compared_with.text()
    compared = page.mine.compared
    assert compared is not None
    assert compared.copies is not None
    assert compared.index is not None
    expected = run_to_end(find_copies(compared.index, compared.ids, compared.copies.begin)).result
    assert compared.copies == expected
    share = round(100 * expected.share_copied())
    assert page.mine.heading.text() == f"Step 4: {share} % copied, {100 - share} % new"
    assert f"n = {expected.counted} · " in page.mine.below.text()
    assert page.overfit.heading.text().startswith("Overfit: ")


def test_what_was_copied_is_shown_where_it_stands(shown: Shown[ParrotPage]) -> None:
    page, wait = shown.page, shown.wait
    panel = page.mine
    index = panel.compared.index if panel.compared is not None else None
    assert index is not None
    loaded = page.picker.loaded
    assert loaded is not None
    tokenizer = loaded.needed_tokenizer()
    page.prompt.setText(tokenizer.decode_text(index.ids[1:13].tolist()))
    page.write()
    wait(lambda: panel.compared is not None and panel.compared.copies is not None)
    page.show_match(panel, 3)
    found = panel.match(3)
    assert found is not None
    assert found.length >= 10
    assert page.title.text() == f"{found.length} tokens word for word"
    assert f"at token {found.place + 1}" in page.passage_title.text()
    assert "the prompt: not counted" in panel.describe(3)


def test_three_questions_are_asked_and_the_quizzes_disclosed(
    shown: Shown[ParrotPage],
) -> None:
    page, wait = shown.page, shown.wait
    page.show_view(1)
    wait(lambda: page.questions.answers)
    assert [answer.prompt.splitlines()[-1] for answer in page.questions.answers] == [
        "What is the capital of France?", "The capital of France is", "What is the capital of France?",
    ]  # fmt: skip
    assert "no Paris" in page.questions.answered[0].text()
    assert "7 % of this run's documents are quizzes" in page.questions.lesson.text()


def test_the_lesson_is_that_of_the_answers() -> None:
    assert "the format is not" in lesson([False, True, True])
    assert "does not know" in lesson([False, False, False])
    assert "answers a question as it finishes a sentence" in lesson([True, True, True])


def test_without_a_run_it_is_said_that_nothing_can_be_compared(
    qtbot: QtBot, tmp_path: Path, root: Path
) -> None:
    run = next((root / "work" / "training").iterdir())
    model = shutil.copytree(sorted((run / "checkpoints").iterdir())[-1], tmp_path / "model")
    with opened_page(qtbot, tmp_path / "empty", "parrot", ParrotPage) as shown:
        page = shown.page
        page.picker.pick(f"file:{model}")
        shown.wait(lambda: page.mine.compared is not None)
        assert "Its training text is not here" in page.mine.why.text()
        assert "Train the failure “Overfit”" in page.overfit.why.text()


def test_the_state_comes_back(shown: Shown[ParrotPage]) -> None:
    page = shown.page
    page.restore_state({"prompt": "Once", "temperature": 0.3, "view": "x", "model": None})
    assert page.prompt.text() == "Once"
    assert page.save_state()["temperature"] == 0.3
