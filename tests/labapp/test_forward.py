"""The Forward pass lab as a person uses it, on SmolLM2."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from core.stages import run_to_end
from labapp.handoff import Handoff
from labapp.labs.attention import AttentionLab
from labapp.labs.forward import ForwardLab
from labapp.labs.forward.perplexity import Scored
from labapp.window import Window
from tests.core.model.test_shelf import tiny
from tests.labapp.opened import PATIENCE, opened_on_smollm2
from tests.labapp.opened import wait as wait_until
from tests.labapp.responsiveness import LoopGaps

Wait = Callable[..., None]


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    with opened_on_smollm2(qtbot, tmp_path, "forward") as made:
        yield made


@pytest.fixture
def wait(qtbot: QtBot, window: Window) -> Wait:
    return partial(wait_until, qtbot, window)


@pytest.fixture
def lab(window: Window, wait: Wait) -> ForwardLab:
    lab = window.lab
    assert isinstance(lab, ForwardLab)
    wait(lambda: lab.subject.ids)
    return lab


def show(lab: ForwardLab, wait: Wait, page: str, text: str | None = None) -> None:
    """Open a page with the scene's question closed, on a text."""
    lab.next.prediction.close_question()
    lab.frame.show_page(page)
    if text is not None:
        lab.subject.show_text(text)
    wait(lambda: True)


def logits_of(lab: ForwardLab, ids: tuple[int, ...]) -> torch.Tensor:
    loaded = lab.subject.loaded
    assert loaded is not None
    with torch.inference_mode():
        return loaded.model(torch.tensor([ids]))[0, -1]


def name(lab: ForwardLab, row: int) -> str:
    return lab.next.distribution.rows[row].name


# The pass.


def test_the_pass_shows_shapes_numbers_and_the_answer(lab: ForwardLab, wait: Wait) -> None:
    page = lab.flow
    wait(lambda: page.values is not None)
    assert page.picture_view._best == "→ “␣Paris” 77.3 %"
    page.choose("blocks.0.attn.pattern")
    assert page.view._matrix.shape == (9, 5)
    assert np.allclose(page.view._matrix.sum(1), 1, atol=1e-6), "the last token's weights in every head"
    assert "9 × 5 × 5 = 225 numbers" in page.tip(next(p for p in page.parts if p.name == page.part))
    page.choose("blocks.0.attn.attn_scores")
    assert "90 are −∞: masked" in page.spread.text()
    page.choose("logits")
    assert page.view._matrix.size >= 49152
    page.block.setValue(13)
    wait(lambda: page.values is not None and page.values.layer == 13)
    assert page.picture_view._inner[0] == "blocks.13.resid_pre"


def test_no_page_lies_over_another_where_a_second_lab_is_opened(qtbot: QtBot, tmp_path: Path) -> None:
    """The scene fills the Next token page while The pass is in view, and the lab itself is not yet."""
    with opened_on_smollm2(qtbot, tmp_path, "attention") as window:
        lab = window.show_lab("forward")
        assert isinstance(lab, ForwardLab)
        wait_until(qtbot, window, lambda: lab.subject.ids)
        assert lab.flow.picture.isVisible()
        for column in (lab.next.controls, lab.next.picture, lab.next.details):
            assert not column.isVisible()
        lab.frame.show_page("next")
        assert lab.next.picture.isVisible()


def test_the_parameters_add_up_to_the_file(lab: ForwardLab, wait: Wait) -> None:
    page = lab.flow
    wait(lambda: page.values is not None)
    page.show_view(2)
    assert "Together 134,515,008 parameters" in page.added.text()
    assert "just as many" in page.added.text()
    rows = [page.parameters.rows.row(i) for i in range(page.parameters.rows.rowCount())]
    assert sum(int(row[3].replace(",", "")) for row in rows) == 134_515_008
    page.show_view(1)
    assert page.ladder.rows.rowCount() == len(page.parts) == 1 + 30 * 19 + 3


def test_the_walk_goes_through_every_part_by_keys(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    page = lab.flow
    wait(lambda: page.values is not None)
    met = [page.part]
    for _ in range(len(page.picture_view.order) - 1):
        qtbot.keyClick(page.picture_view, Qt.Key.Key_Down)
        met.append(page.part)
    assert met == page.picture_view.order
    assert met[-1] == "probabilities"
    qtbot.keyClick(page.picture_view, Qt.Key.Key_Right)
    assert page.block.value() == 1
    box = page.picture_view.box_of("blocks.1.attn.q")
    qtbot.mouseClick(page.picture_view, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    assert page.part == "blocks.1.attn.q"


# Next token.


def test_the_scene_asks_before_it_shows(lab: ForwardLab, wait: Wait) -> None:
    lab.frame.show_page("next")
    page = lab.next
    wait(lambda: page.looked is not None)
    assert page.prediction.asking
    assert page.distribution.rows == []
    page.prediction.answer(1)
    assert name(lab, 0) == "␣Paris"
    assert page.distribution.rows[0].after == pytest.approx(0.773, abs=0.002)


def test_sliders_cut_and_flatten_and_never_reorder(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "next")
    page = lab.next
    wait(lambda: page.distribution.rows)
    order = [row.id for row in page.distribution.rows]

    def after(**values: float) -> list[float]:
        page.set_settings({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0} | values)
        looked = page.looked
        wait(lambda: page.looked is not looked)
        assert [row.id for row in page.distribution.rows] == order
        return [row.after for row in page.distribution.rows]

    assert sum(value > 0 for value in after(top_k=3)) == 3
    assert page.distribution.rows[3].cut_by == "top-k"
    assert after(temperature=0.0)[:2] == [1.0, 0.0]
    assert after(temperature=2.0)[0] < 0.5
    assert sum(value > 0 for value in after(min_p=0.05)) == 2, "␣Paris and ␣the"
    looked = page.looked
    page.compare.setChecked(True)
    wait(lambda: page.looked is not looked and page.looked.b is not None)
    after(top_k=1)
    assert page.distribution.rows[0].after == 1.0
    assert page.distribution.rows[0].other == pytest.approx(0.77 / 0.84, abs=0.02), "B keeps its settings"


def test_tokens_are_taken_drawn_and_taken_back(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "next")
    page = lab.next
    wait(lambda: page.distribution.rows)
    london = next(i for i, row in enumerate(page.distribution.rows) if row.name == "␣London")
    point = QPoint(10, int(page.distribution._header() + (london + 0.5) * page.distribution._row_height()))
    qtbot.mouseClick(page.distribution, Qt.MouseButton.LeftButton, pos=point)
    wait(lambda: page.taken and "London" in page.heading.text())
    assert page.taken[0].by_hand
    assert page.taken[0].probability == pytest.approx(0.012, abs=0.002)
    page.undo()
    wait(lambda: not page.taken and name(lab, 0) == "␣Paris")
    page.set_settings({"temperature": 0.0})
    page.step()
    wait(lambda: len(page.taken) == 1)
    page.step()
    wait(lambda: len(page.taken) == 2)
    loaded = lab.subject.loaded
    assert loaded is not None
    from core.model.generation import Reader, generate
    from core.model.settings import GenerationSettings

    expected = run_to_end(
        generate(Reader(loaded.model), lab.subject.ids, GenerationSettings(temperature=0.0, max_tokens=2))
    ).result.ids
    assert tuple(each.id for each in page.taken) == expected
    assert "drawn" in page._describe(len(lab.subject.ids))
    page.clear()
    wait(lambda: not page.taken)


def test_writing_stops_and_goes_on(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "next", "Once upon a time")
    page = lab.next
    wait(lambda: page.looked is not None)
    page.set_settings({"temperature": 0.7, "top_k": 20})
    page.run()
    qtbot.waitUntil(lambda: len(page.taken) > 5, timeout=PATIENCE)
    assert page.distribution.chosen is not None, "what the last token was drawn from"
    page.stop()
    wait(lambda: not page._writing)
    count = len(page.taken)
    page.step()
    wait(lambda: len(page.taken) == count + 1)
    lab.subject.show_text("Another text")
    wait(lambda: not page.taken and "Another" in page.heading.text())


def test_closing_while_it_writes_leaves_nothing(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "next", "Once upon a time")
    wait(lambda: lab.next.looked is not None)
    lab.next.run()
    qtbot.waitUntil(lambda: len(lab.next.taken) > 2, timeout=PATIENCE)


def test_the_window_answers_while_it_writes(
    qtbot: QtBot, lab: ForwardLab, wait: Wait, report: Callable[[str, object], None]
) -> None:
    show(lab, wait, "next", "Once upon a time there was a king who")
    wait(lambda: lab.next.looked is not None)
    with LoopGaps() as gaps:
        lab.next.run()
        qtbot.waitUntil(lambda: len(lab.next.taken) > 60, timeout=PATIENCE)
    lab.next.stop()
    wait(lambda: True)
    report("forward: loop gaps while 60 tokens are written", str(gaps.result))
    gaps.hold(p99=50, longest=250)


def test_another_model_is_taken_in_mid_run(qtbot: QtBot, lab: ForwardLab, wait: Wait, tmp_path: Path) -> None:
    show(lab, wait, "next", "Once upon a time")
    wait(lambda: lab.next.looked is not None)
    lab.next.run()
    qtbot.waitUntil(lambda: len(lab.next.taken) > 2, timeout=PATIENCE)
    lab.subject.picker.pick(f"file:{tiny(tmp_path / 'tiny', context=64)}")
    wait(lambda: lab.subject.loaded is not None and lab.subject.loaded.source.name == "tiny")
    assert "has no tokenizer" in lab.frame.messages.text
    assert lab.next.taken == []
    for page in ("flow", "lens", "prompts", "perplexity", "chat"):
        show(lab, wait, page)
        assert not lab.current.picture.grab().toImage().isNull()
    lab.subject.picker.pick("known:smollm2")
    lab.frame.show_page("next")
    wait(lambda: lab.subject.ids and lab.next.distribution.rows)


@pytest.mark.parametrize("text", ["", "x", "é🙂", "<|im_start|>user", "\n\n", "word " * 9000])
def test_any_text_is_read(lab: ForwardLab, wait: Wait, text: str) -> None:
    version = lab.subject.version
    show(lab, wait, "next", text)
    wait(lambda: lab.subject.version > version)
    for page in ("next", "flow", "lens") if len(text) < 100 else ("next",):
        show(lab, wait, page)
        assert not lab.current.picture.grab().toImage().isNull()
    if len(text) > 40_000:
        assert "looks back on 8,192" in lab.frame.messages.text


# Lens.


def test_the_lens_ends_with_what_the_model_says(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "lens")
    page = lab.lens
    wait(lambda: page.grid.complete)
    assert page.grid.name_of((30, 4)) == "␣Paris"
    assert page.grid.says((30, 4)) == "After “␣is”, after block 29: “␣Paris” with 77.3 %"
    best = logits_of(lab, lab.subject.ids[:3]).argmax()
    assert page.of_final[30][2] == pytest.approx(
        float(logits_of(lab, lab.subject.ids[:3]).softmax(-1)[best]), abs=1e-4
    )
    wait(lambda: page.best.rows.rowCount() == 5)
    qtbot.keyClick(page.grid, Qt.Key.Key_Down)
    assert page.grid.chosen == (29, 4)
    assert "block 28" in page.cell_title.text()


# Prompts.


def test_the_same_knowledge_comes_out_or_not_by_the_form(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "prompts")
    page = lab.prompts
    wait(lambda: len(page.answers) == 4 and all(a.answer or a.ended for a in page.answers.values()))
    assert page.answers[0].answer == "The capital of France is Paris."
    assert page.answers[1].answer == ""
    assert page.panels[1].answer.text() == "→ nothing: it ends at once"
    assert page.answers[2].best[0][0] == b" Paris"
    assert page.answers[3].best[0][1] > page.answers[2].best[0][1] > 0.7


def test_strawberry_is_one_token_after_a_space_and_three_in_quotes(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "prompts")
    page = lab.prompts
    page.choose_set(1)
    wait(lambda: len(page.answers) == 4 and all(a.answer for a in page.answers.values()))
    assert b" strawberry" in page.answers[0].tokens
    quoted = page.answers[1].tokens
    assert quoted[quoted.index(b"st") :][:3] == (b"st", b"raw", b"berry")
    assert page.answers[2].tokens.count(b" r") == 4, "asked for, and three times in the word"
    for place, right in ((0, "3"), (1, "3"), (2, "3"), (3, "2")):
        assert right not in page.answers[place].answer.split(), "too small to count"


def test_a_changed_prompt_answers_anew(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "prompts")
    page = lab.prompts
    page.choose_set(2)
    wait(lambda: len(page.answers) == 4)
    page.choose(1)
    page.editor.setPlainText("The capital of Italy is")
    page._typed()
    wait(lambda: 1 in page.answers)
    assert page.answers[1].best[0][0] == b" Rome"
    assert page.cases[1].text == "The capital of Italy is"


# Perplexity.


def test_perplexity_is_that_of_the_scores(lab: ForwardLab, wait: Wait) -> None:
    text = "The sun rose over the small village."
    show(lab, wait, "perplexity", text)
    page = lab.perplexity
    wait(lambda: page.scored and page.scored[0].text == text)
    loaded, ids = lab.subject.loaded, lab.subject.ids
    assert loaded is not None
    with torch.inference_mode():
        logs = loaded.model(torch.tensor([ids]))[0].log_softmax(-1)
    nats = [-float(logs[n, ids[n + 1]]) for n in range(len(ids) - 1)]
    assert np.allclose(page.nats[1:], nats, atol=1e-4)
    assert math.isnan(page.nats[0])
    assert page.scored[0].score.perplexity == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-4)
    assert page.heading.text().startswith(f"Perplexity {page.scored[0].score.perplexity:,.1f}")
    assert "1 window" in page.below.text()


def test_perplexities_of_other_tokenizers_are_not_set_side_by_side(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "perplexity", "The sun rose over the small village.")
    page = lab.perplexity
    wait(lambda: page.scored)
    assert page.reason.isHidden()
    own = page.scored[0]
    page.scored.append(Scored("the same", "another model", own.tokenizer + 1, own.score))
    page._show_list()
    assert page.list.rows.row(0)[3] != "—"
    assert page.list.rows.row(1)[3] == "—"
    assert page.list.rows.row(1)[4] == page.list.rows.row(0)[4], "bits per byte can be compared"
    assert "another tokenizer" in page.reason.text()


# Chat.


def answered(lab: ForwardLab, wait: Wait, question: str) -> str:
    page = lab.chat
    page.line.setText(question)
    page.ask()
    wait(lambda: not page.answering and page.turns[-1].words)
    loaded = lab.subject.loaded
    assert loaded is not None
    return loaded.needed_tokenizer().decode_text([each.id for each in page.turns[-1].words])


def test_a_word_of_an_answer_is_followed_into_the_model(window: Window, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "chat")
    page = lab.chat
    page.path.setCurrentIndex(page.path.findData("exact"))
    page.temperature.set_value(0.0)
    assert answered(lab, wait, "What is the capital of France?") == "The capital of France is Paris."
    place = next(n for n, piece in enumerate(page._pieces) if piece.data == b" Paris")
    assert "Paris" in page._describe(place)
    turn, word = page._pieces[place].turn, page._pieces[place].word
    assert word is not None
    page._choose((turn, word))
    assert page.title.text() == "Why “␣Paris”?"
    page.why("next")
    wait(lambda: lab.frame.page == "next" and lab.next.distribution.rows)
    assert lab.next.distribution.rows[0].name == "␣Paris"
    assert lab.next.distribution.rows[0].after == pytest.approx(
        page.turns[0].words[word].probability, abs=1e-3
    )
    lab.frame.show_page("chat")
    page.why("attention")
    wait(lambda: isinstance(window.lab, AttentionLab) and window.lab.heads.tokens)


def test_the_fast_path_is_measured_and_said(lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "chat")
    page = lab.chat
    page.temperature.set_value(0.0)
    assert "Paris" in answered(lab, wait, "What is the capital of France?")
    says = page.measured.text()
    assert "nats from the exact path" in says or "nothing is faster" in says
    assert "Rome" in answered(lab, wait, "And of Italy?") or len(page.turns) == 2
    assert "per second" in page.turns[-1].note


def test_an_answer_is_stopped_and_kept(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "chat")
    page = lab.chat
    page.path.setCurrentIndex(page.path.findData("exact"))
    page.line.setText("Tell me a long story about a king.")
    page.ask()
    qtbot.waitUntil(lambda: page.turns and len(page.turns[0].words) > 5, timeout=PATIENCE)
    page.stop()
    wait(lambda: not page.answering)
    assert len(page.turns[0].words) > 5
    assert page.turns[0].note.startswith("stopped")
    page.clear()
    assert page.turns == []


# The lab.


def test_state_comes_back(qtbot: QtBot, lab: ForwardLab, wait: Wait) -> None:
    show(lab, wait, "next", "It was the best of")
    lab.next.set_settings({"temperature": 0.5, "top_k": 40})
    state: dict[str, Any] = lab.save_state()
    lab.next.set_settings({"temperature": 1.0, "top_k": 0})
    show(lab, wait, "lens", "Other")
    lab.restore_state(state)
    wait(lambda: lab.subject.text == "It was the best of" and lab.frame.page == "next")
    assert lab.next.values()["temperature"] == 0.5
    assert lab.next.values()["top_k"] == 40


def test_a_text_from_another_lab_is_taken(window: Window, lab: ForwardLab, wait: Wait) -> None:
    window.open_in("forward", Handoff(text="Paris is in"))
    wait(lambda: lab.subject.text == "Paris is in" and lab.flow.values is not None)
    assert not lab.next.prediction.asking
