"""The Tokenizer lab as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from core.artifacts import open_artifact
from core.problems import LabError
from core.tokenizer.reading import read_tokenizer
from labapp.handoff import Handoff
from labapp.labs.tokenizer import TokenizerLab
from labapp.widgets.token_text import TokenText, visible
from tests.labapp.opened import PATIENCE, opened, settled, tokenizer_lab
from tests.labapp.responsiveness import LoopGaps


def wait(qtbot: QtBot, lab: TokenizerLab, condition: Callable[[], object]) -> None:
    qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE)


def press(widget: QWidget, key: str) -> None:
    """Press a shortcut, also where no window manager makes the window the active one."""
    wanted = QKeySequence(key)
    found = [s for s in widget.findChildren(QShortcut) if s.key() == wanted and s.isEnabled()]
    assert len(found) == 1, f"{len(found)} shortcuts for {key}"
    found[0].activated.emit()


def learn_from(qtbot: QtBot, lab: TokenizerLab, text: str, vocab_size: int = 300) -> None:
    """Learn from a text of one's own, up to the first merge."""
    lab.learn.form.set_values({"vocab_size": vocab_size})
    lab.learn.use_own("mine", text)
    wait(qtbot, lab, lambda: lab.learn.history is not None and (lab.learn.history.merges or lab.learn.reason))


def test_the_scene_asks_before_it_reveals(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        assert lab.learn.prediction.asking
        assert lab.learn.tables.pairs.rows.rowCount() == 0
        assert not lab.learn.step_button.isEnabled()
        press(window, "3")
        wait(qtbot, lab, lambda: lab.learn.prediction.text.startswith("Right."))
        wait(qtbot, lab, lambda: lab.learn.step >= 2)  # it plays on
        assert lab.learn.tables.pairs.rows.rowCount() > 0


def test_an_answer_given_before_anything_is_learned_is_not_lost(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        lab.learn.show_scene()
        assert not (lab.learn.history and lab.learn.history.merges)
        press(window, "3")
        wait(qtbot, lab, lambda: lab.learn.prediction.text.startswith("Right."))


def test_the_scene_moves_while_it_asks(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        seen = set()
        qtbot.waitUntil(lambda: seen.add(tuple(lab.learn.view._pairs)) or len(seen) >= 3, timeout=4000)


def test_a_step_back_shows_exactly_what_was_there(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, "aaabdaaabac the cat sat on the mat, the cat sat " * 4)
        shown = []
        for step in range(8):
            lab.learn.go_to(step)
            wait(qtbot, lab, lambda step=step: lab.learn.step == step)
            rows = lab.learn.tables.pairs.rows
            table = [rows.row(i) for i in range(rows.rowCount())]
            shown.append((lab.learn.view.visible_tokens(), table, lab.learn.size_label.text()))
        for step in reversed(range(8)):
            lab.learn.go_to(step)
            rows = lab.learn.tables.pairs.rows
            table = [rows.row(i) for i in range(rows.rowCount())]
            assert (lab.learn.view.visible_tokens(), table, lab.learn.size_label.text()) == shown[step]


def test_keys_step_play_and_jump(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, "the cat sat on the mat, the cat sat on the mat")
        lab.take_focus()
        press(lab, "Alt+Right")
        wait(qtbot, lab, lambda: lab.learn.step == 1)
        press(lab, "Alt+Left")
        assert lab.learn.step == 0
        press(lab, "Alt+End")
        wait(qtbot, lab, lambda: bool(lab.learn.reason))
        assert lab.learn.step == len(lab.learn.history.merges) > 5
        press(lab, "Alt+Home")
        assert lab.learn.step == 0


@pytest.mark.parametrize("text", ["", "x", "abc"])
def test_a_text_that_gives_no_merge_ends_calmly(qtbot: QtBot, tmp_path: Path, text: str) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, text)
        wait(qtbot, lab, lambda: bool(lab.learn.reason))
        assert lab.learn.step == 0
        assert not lab.learn.step_button.isEnabled()
        assert not lab.frame.messages.text


def test_a_dropped_file_is_learned_from_and_the_tokenizer_is_kept(qtbot: QtBot, tmp_path: Path) -> None:
    text = tmp_path / "texts" / "käse <b>&amp;<b>.txt"
    text.parent.mkdir()
    text.write_text("the cat sat on the mat, the dog sat on the rug. " * 50, encoding="utf-8")
    with opened(qtbot, tmp_path / "workspace") as window:
        lab = tokenizer_lab(window)
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(text))])
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        window.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))
        wait(qtbot, lab, lambda: lab.learn.history is not None and len(lab.learn.history.merges) > 0)
        assert lab.learn.picker.title == text.name
        lab.learn.to_the_end()
        wait(qtbot, lab, lambda: bool(lab.learn.reason))
        artifact = lab.attempt(lab.keep)
        assert artifact is not None, lab.frame.messages.text
        open_artifact(artifact.folder).verify()
        made = read_tokenizer(artifact.folder / "tokenizer.json")
        assert made.encode("the cat") == lab.learn.tokenizer().encode("the cat")
        assert artifact.references[0].path == text
        assert window.lineage._buttons["tokenizer"].isEnabled()


def test_a_file_that_is_not_utf8_is_named_with_its_byte(qtbot: QtBot, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"abc\xff")
    with opened(qtbot, tmp_path / "workspace") as window:
        lab = tokenizer_lab(window)
        window.open_files([bad])
        wait(qtbot, lab, lambda: bool(lab.frame.messages.text))
        assert "bad.txt" in lab.frame.messages.text
        assert "3" in lab.frame.messages.text
        window.open_files([tmp_path / "missing.txt"])
        assert "missing.txt" in lab.frame.messages.text


def test_typing_encodes_and_chips_ids_and_text_are_linked(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, "the cat sat on the mat, the cat sat " * 9)
        lab.learn.go_to(10)
        wait(qtbot, lab, lambda: lab.learn.step == 10)
        lab.frame.show_page("encode")
        page = lab.encode
        page.pick("learned")
        page.editor.selectAll()
        page.editor.insertPlainText("the cat €")
        wait(qtbot, lab, lambda: page.encoded is not None and page.encoded.data == "the cat €".encode())
        assert page.encoded.ids.tolist() == lab.learn.tokenizer().encode("the cat €")
        token = page.view.visible_tokens()[0]
        page.view.hovered.emit(token)
        assert (
            page.table.currentIndex().row() == 0 or page.table.selectionModel().selectedRows()[0].row() == 0
        )
        assert len(page.editor.extraSelections()) == 1
        page.table.row_hovered.emit(1)
        assert page.view._hover == page.view.visible_tokens()[1]
        euro = page.view.visible_tokens()[-1]
        assert "⟨" in visible(page.encoded.data[euro.start : euro.end])  # a byte that is no character
        page.copy_ids()
        assert QApplication.clipboard().text().split(", ") == [str(i) for i in page.encoded.ids.tolist()]


def test_a_handoff_opens_the_encode_page(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        window.open_in("tokenizer", Handoff(text="from another lab"))
        lab = tokenizer_lab(window)
        assert lab.frame.page == "encode"
        assert lab.encode.text() == "from another lab"
        assert ("tokenizer", "Tokenizer") in window.labs_for(lab.handoff())


def test_the_step_and_the_text_come_back_at_the_next_start(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, "the cat sat on the mat, the cat sat " * 9)
        lab.learn.go_to(7)
        wait(qtbot, lab, lambda: lab.learn.step == 7)
        tokens = lab.learn.view.visible_tokens()
    saved = json.loads((tmp_path / "window.json").read_text(encoding="utf-8"))
    assert saved["labs"]["tokenizer"]["pages"]["learn"]["step"] == 7
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        wait(qtbot, lab, lambda: lab.learn.step == 7)
        wait(qtbot, lab, lambda: settled(window))
        assert lab.learn.view.visible_tokens() == tokens


def test_nothing_learned_cannot_be_kept(qtbot: QtBot, tmp_path: Path) -> None:
    with opened(qtbot, tmp_path) as window:
        lab = tokenizer_lab(window)
        learn_from(qtbot, lab, "")
        with pytest.raises(LabError, match="No merge"):
            lab.keep()


def test_what_is_drawn_does_not_grow_with_the_text(qtbot: QtBot) -> None:
    view = TokenText()
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    data = b"the cat sat on the mat and looked at it.\n" * 250_000  # 10 MB
    view.set_text(data, np.arange(0, len(data), 4))
    few = len(view.visible_tokens())
    view.show_byte(len(data) - 5)
    assert view.visible_tokens()[-1].end == len(data)
    assert few < 2_000


def test_characters_that_are_split_show_their_bytes(qtbot: QtBot) -> None:
    assert visible("é".encode()[:1]) == "⟨C3⟩"
    view = TokenText()
    qtbot.addWidget(view)
    view.resize(300, 100)
    view.show()
    view.set_text("日本 €".encode(), np.array([0]))
    view.set_spans(lambda word: [(byte, 1) for byte in word])
    assert "�" not in "".join(view.describe(token) for token in view.visible_tokens())
    assert not view.grab().toImage().isNull()


def test_the_window_answers_while_10_mb_are_learned(
    qtbot: QtBot, tmp_path: Path, shakespeare: Path, report: Callable[[str, object], None]
) -> None:
    text = tmp_path / "ten.txt"
    data = shakespeare.read_bytes()
    letters = bytes(range(97, 123))
    turned = [data.translate(bytes.maketrans(letters, letters[i:] + letters[:i])) for i in range(9)]
    text.write_bytes(b"".join(turned))  # new words all the way
    with opened(qtbot, tmp_path / "workspace") as window, LoopGaps() as gaps:
        lab = tokenizer_lab(window)
        lab.learn.use_files("ten", [text])
        wait(qtbot, lab, lambda: lab.learn.history is not None and lab.learn.history.merges)
        lab.learn.to_the_end()
        wait(qtbot, lab, lambda: bool(lab.learn.reason))
        assert lab.learn.step == len(lab.learn.history.merges) > 1000
    report("tokenizer: loop gaps while 10 MB are learned", str(gaps.result))
    gaps.hold(p99=50, longest=100)
