"""Ranking in the window, by keyboard alone: what is pressed is what is stored, and nothing is lost."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.preferences.results import read_results
from core.preferences.task import PRACTICE, TaskSettings, make_task
from core.problems import LabError
from labapp.labs.preferences.keys import digit_of
from labapp.labs.preferences.rank import RankPage
from labapp.labs.preferences.tasks import add_task
from tests.labapp.opened import PATIENCE, activate
from tests.labapp.preferences_pages import a_task, an_item, press, press_place, ranking, texts_of

ALT, CTRL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ENTER, UP, LEFT, RIGHT = Qt.Key.Key_Return, Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Right


def stored(page: RankPage) -> list[list[list[str]]]:
    """The rankings in the database, by text, in the order of the items."""
    assert page.desk.opened is not None
    found = read_results(page.desk.opened.store)
    return [texts_of(page, one.tiers) for one in found.rankings]


def places(page: RankPage) -> list[str]:
    """The texts of the cards in the order in which they were shown."""
    assert page.desk.shown is not None
    return [output.text for output in page.desk.shown.outputs]


def test_a_session_by_keyboard_alone(qtbot: QtBot, tmp_path: Path) -> None:
    with ranking(qtbot, tmp_path, a_task(), name="") as page:
        activate(qtbot, page.picture.window())
        assert "How to withdraw" in page.consent.prose.toPlainText()
        page.take_focus()
        QTest.keyClick(page.consent.go, Qt.Key.Key_Space)
        assert page.stack.currentIndex() == 2
        assert page.work.board.hasFocus()
        first = places(page)

        press(page, 2)
        assert page.work.saved.text().startswith("✓ Saved")  # the draft is on the disk
        assert page.work.said.text() == "A: rank 2. Now at B."
        press(page, 1, 2)
        press(page, ENTER)  # one has no rank yet: nothing is saved, and why is said
        assert "1 of 4 outputs have no rank yet" in page.lab.frame.messages.text
        assert not stored(page)
        press(page, 7)
        assert page.work.said.text() == "Ranks go from 1 to 4."
        press(page, 4, ENTER)
        assert stored(page) == [[[first[1]], sorted([first[0], first[2]]), [first[3]]]]
        assert "B > A = C > D" in page.work.saved.text()

        held = QKeyEvent(QKeyEvent.Type.KeyPress, ENTER, Qt.KeyboardModifier.NoModifier, "\r", True)
        press(page, 4, 3, 2, 1)
        QApplication.sendEvent(page.work.board, held)  # Enter held down submits nothing
        assert len(stored(page)) == 1
        press(page, ENTER)
        assert len(stored(page)) == 2

        press(
            page, Qt.Key.Key_Z, modifier=CTRL
        )  # undo after submitting: the ranking is open again, as it was
        assert len(stored(page)) == 1
        assert page.desk.standing.ranks == dict(zip(page.desk.standing.shown, (4, 3, 2, 1), strict=True))
        press(page, Qt.Key.Key_Y, modifier=CTRL)
        assert len(stored(page)) == 2

        for digit in (1, 2, 3, 4):  # the order shown is no answer until that is said
            press(page, digit)
        press(page, ENTER)
        assert len(stored(page)) == 2
        assert "Is it the right one?" in page.notice.text
        press(page, ENTER)  # a habit is no answer to it
        assert len(stored(page)) == 2
        press(page, Qt.Key.Key_Y)
        assert len(stored(page)) == 3
        assert page.stack.currentIndex() == 3
        assert "Every item has an answer" in page.finish.text.text()
        page.finish.undo.click()
        assert len(stored(page)) == 2
        assert page.stack.currentIndex() == 2


def test_a_restart_finds_the_draft_and_undo_goes_on(qtbot: QtBot, tmp_path: Path) -> None:
    with ranking(qtbot, tmp_path, a_task()) as page:
        press(page, 2, 1, 3, 4, ENTER)
        press(page, 3, 3)
        page.work.comment.setFocus()
        QTest.keyClicks(page.work.comment, "hm 2")
        before = page.desk.standing
        item = page.desk.shown.item_id
    with ranking(qtbot, tmp_path, name="") as page:
        assert page.desk.shown.item_id == item
        assert page.desk.standing == before
        assert before.comment == "hm 2"
        assert page.work.comment.text() == "hm 2"
        press(page, Qt.Key.Key_Z, modifier=CTRL)
        assert page.desk.shown.item_id != item
        assert page.desk.standing.ranks[page.desk.standing.shown[1]] == 1
        assert not stored(page)


def test_digits_count_by_their_place_on_the_keyboard(qtbot: QtBot, tmp_path: Path) -> None:
    with ranking(qtbot, tmp_path, a_task()) as page:
        if sys.platform.startswith("linux"):
            press_place(page, 11, "é", 0xC9)  # AZERTY: the key that is 2 elsewhere
            press_place(page, 10, "+", Qt.Key.Key_Plus.value)  # Czech: the key that is 1 elsewhere
            assert list(page.desk.standing.ranks.values()) == [2, 1]
        press(page, 4, modifier=Qt.KeyboardModifier.KeypadModifier)
        assert 4 in page.desk.standing.ranks.values()


@pytest.mark.parametrize(
    ("platform", "scan", "virtual", "digit"),
    [("linux", 10, 0, 1), ("linux", 19, 0, 0), ("win32", 2, 0x31, 1), ("win32", 11, 0x30, 0), ("darwin", 1, 22, 6),
     ("darwin", 1, 26, 7), ("linux", 38, 0, None)],
)  # fmt: skip
def test_each_system_says_the_place_of_a_key_its_own_way(
    platform: str, scan: int, virtual: int, digit: int | None
) -> None:
    none = Qt.KeyboardModifier.NoModifier
    event = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_A.value, none, scan, virtual, 0, "x")
    assert digit_of(event, platform) == digit
    with_ctrl = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_1.value, CTRL, scan, virtual, 0, "x")
    assert digit_of(with_ctrl, platform) is None


@pytest.mark.timeout(1_500)
def test_what_is_pressed_is_what_is_stored(
    qtbot: QtBot, tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    """Each session is a person of its own, so each item comes in another order."""
    chance = random.Random(8)
    sessions = count(20, 1_000)
    orders = set()
    with ranking(qtbot, tmp_path, a_task(1, 5), name="") as page:
        for n in range(sessions):
            if n % 50 == 49:  # a class; another task for the next one
                task = make_task(f"Task {n}", [an_item(f"p{n}", [f"p{n} o{i}" for i in range(5)])], "")
                key = add_task(page.context.workspace, task, task.id)
                page.open(key)
                qtbot.waitUntil(lambda key=key: page.desk.opened.key == key, timeout=PATIENCE)
            page.change_person()
            page.consent.name.setText(f"Person {n}")
            page.consent.go.click()
            orders.add(tuple(text[-1] for text in places(page)))
            wanted = press_at_random(page, chance)
            press(page, ENTER)
            if page.notice.text:
                press(page, Qt.Key.Key_Y)
            answers = read_results(page.desk.opened.store).rankings
            mine = next(one for one in answers if one.annotator == page.desk.session.annotator)
            assert texts_of(page, mine.tiers) == wanted, f"session {n}"
    assert len(orders) > min(sessions, 120) / 2  # of 120 that there are
    report("rankings by keys, shuffled order undone", sessions)


def press_at_random(page: RankPage, chance: random.Random) -> list[list[str]]:
    """Rank the item in view with random keys; the ranking by text, as a person reads it off the screen."""
    digits = [chance.randint(1, 5) for _ in range(5)]
    press(page, *digits)
    for _ in range(chance.randint(0, 3)):
        press(
            page, chance.choice([LEFT, RIGHT]), modifier=chance.choice([ALT, Qt.KeyboardModifier.NoModifier])
        )
    if chance.random() < 0.3:
        press(page, Qt.Key.Key_Z, modifier=CTRL)
        press(page, Qt.Key.Key_Y, modifier=CTRL)
    seen: dict[int, list[str]] = {}
    for card in page.work.board.cards.values():
        seen.setdefault(card.badge.rank, []).append(card.prose.toPlainText())
    assert 0 not in seen
    return [sorted(seen[rank]) for rank in sorted(seen)]


def test_pairs_ratings_flags_best_only_and_practice(qtbot: QtBot, tmp_path: Path) -> None:
    practice = an_item("practice", ["good", "bad", "worse"], kind=PRACTICE, key=[[0], [1], [2]])
    rest = [an_item(f"p{i}", [f"p{i} {c}" for c in "abc"], category="war") for i in range(3)]
    settings = TaskSettings(ranking="best", best=1, ratings=True, warning="Some prompts are sad.")
    with ranking(qtbot, tmp_path, make_task("Mixed", [practice, *rest], "", settings), name="") as page:
        assert page.consent.warning.text() == "Some prompts are sad."
        page.consent.name.setText("Ada")
        page.consent.go.click()
        good = next(o.id for o in page.desk.shown.outputs if o.text == "good")
        page._clicked(good)
        press(page, 1, ENTER)
        if "right one" in page.notice.text:
            press(page, Qt.Key.Key_Y)
        assert "Practice: 2 of 3" in page.notice.text
        assert page.desk.shown.kind == "work"

        press(page, 6, modifier=SHIFT)
        press(page, Qt.Key.Key_F)
        QTest.keyClick(page.work.flags["wrong"], Qt.Key.Key_Space)
        press(page, Qt.Key.Key_B)
        chosen = page.desk.standing.chosen
        assert page.desk.standing.ratings == {chosen: 6}
        assert page.desk.standing.flags == {chosen: ("wrong",)}
        press(page, ENTER)  # all bad without a ranking
        [answer] = read_results(page.desk.opened.store).rankings
        assert answer.all_bad
        assert answer.tiers == ()
        assert answer.ratings == {chosen: 6}

        press(page, 1, 2, 3)
        page.panel.pairs.setChecked(True)
        press(page, ENTER)  # typed ranks are no comparisons
        assert "which of these two" in page.work.said.text()
        assert len(read_results(page.desk.opened.store).rankings) == 1
        two = {page.work.board.cards[id].isVisibleTo(page.work.board) for id in page.work.board.cards}
        assert two == {True, False}
        press(page, LEFT)
        press(page, Qt.Key.Key_Z, modifier=CTRL)
        press(page, RIGHT, Qt.Key.Key_Down)
        assert page.desk.standing.pair is None
        wanted = texts_of(page, page.desk.standing.tiers)
        press(page, ENTER)
        answers = read_results(page.desk.opened.store).rankings
        assert texts_of(page, answers[-1].tiers) == wanted
        assert len(answers[-1].pairs) == 2

        page.leave_out("war")
        assert page.stack.currentIndex() == 3
        page.take_back_in("war")
        assert page.desk.session.opted_out() == frozenset()


def test_work_begins_when_practice_is_passed(qtbot: QtBot, tmp_path: Path) -> None:
    practice = an_item("practice", ["good", "bad"], kind=PRACTICE, key=[[0], [1]])
    task = make_task("P", [practice, an_item("work", ["a", "b"])], "", TaskSettings(practice_mark=100))
    with ranking(qtbot, tmp_path, task) as page:
        for wrong in (True, False):
            good = [text == "good" for text in places(page)].index(True)
            first, second = (2, 1) if (good == 0) == wrong else (1, 2)
            press(page, first, second, ENTER)
            if page.notice.offers(page.keep_and_submit):
                press(page, Qt.Key.Key_Y)
            if wrong:
                assert page.finish.title.text() == "Practice comes first."
                assert "0 of 1" in page.notice.text
                page.finish.practice.click()
        assert page.desk.shown.kind == "work"


def test_skipped_dragged_handed_in_and_withdrawn(qtbot: QtBot, tmp_path: Path) -> None:
    with ranking(qtbot, tmp_path, a_task(4, 3)) as page:
        first = page.desk.shown.item_id
        page.work.fill_skip_menu()
        reasons = [action for action in page.work.skip_menu.actions() if not action.isSeparator()]
        reasons[0].trigger()
        assert page.desk.shown.item_id != first
        assert "1 skipped" in page.panel.count.text()
        press(page, Qt.Key.Key_Z, modifier=CTRL)
        assert page.desk.shown.item_id == first
        assert "skipped" not in page.panel.count.text()

        last = page.desk.standing.shown[2]
        page._dropped(last, 0)
        assert page.desk.standing.tiers[0] == (last,)
        press(page, RIGHT, modifier=ALT)
        assert page.desk.standing.tiers[1] == (last,)
        size = next(iter(page.work.board.cards.values())).prose.font().pixelSize()
        page.picture.window().set_text_size(1.3)
        qtbot.waitUntil(lambda: next(iter(page.work.board.cards.values())).prose.font().pixelSize() > size)
        assert page.desk.standing.tiers[1] == (last,)
        page.picture.window().set_text_size(1.0)
        page.panel.pace.setChecked(True)
        press(page, ENTER)
        assert "prompts an hour" in page.panel.count.text() or "first prompt" in page.panel.count.text()
        assert page.side.done.rows.rowCount() == 1
        page.side.done.selectRow(0)
        assert "answered before" in page.work.place.text()
        press(page, 3, 2, 1, ENTER)
        assert len(stored(page)) == 1
        assert page.desk.session.recent(1)[0].what == "revise"

        page.lab.hand_in(tmp_path)
        assert list(tmp_path.glob("*.answers.jsonl"))
        page.ask_to_withdraw()
        page.notice.yes.click()
        assert page.stack.currentIndex() == 1
        assert "withdrawn" in page.notice.text
        assert stored(page) == []


def test_what_could_not_be_saved_is_said_and_stays_in_view(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise LabError("The disk is full.", "Make room.")

    with ranking(qtbot, tmp_path, a_task()) as page:
        with monkeypatch.context() as broken:
            broken.setattr(page.desk.session, "save_draft", full)
            broken.setattr(page.desk.session, "submit", full)
            press(page, 4, 3, 2, 1)
            assert "The disk is full" in page.lab.frame.messages.text
            assert page.work.saved.text() == "Not saved"
            press(page, ENTER)
            assert page.desk.standing.ranks
            assert stored(page) == []
        press(page, ENTER)  # the same click's id: had it been written after all, it would count once
        assert len(stored(page)) == 1
        assert page.work.saved.text().startswith("✓ Saved")
        assert not page.lab.frame.messages.text
