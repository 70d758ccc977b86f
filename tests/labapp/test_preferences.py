"""The Preferences lab beyond ranking: made, handed out, ranked alone, handed in, collected, read, passed on."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from pytestqt.qtbot import QtBot

from core.artifacts import Workspace
from core.preferences.answers import Answer
from core.preferences.hand_in import hand_in
from core.preferences.store import Store, create_store
from core.preferences.task import Maker, make_item, make_task
from core.preferences.task_files import read_task, write_task
from core.preferences.texts import folded
from labapp.handoff import Handoff
from labapp.labs.preferences import PreferencesLab
from labapp.labs.preferences.comparing import differences
from labapp.labs.preferences.desk import Desk
from labapp.labs.preferences.tasks import Opened, add_task, open_task
from labapp.window import Window
from tests.core.evals.test_smallworld import SHIPPED
from tests.labapp.opened import PATIENCE, opened, wait
from tests.labapp.preferences_pages import a_task, an_item, press, rank_page, ranking
from tests.labapp.rich_text import assert_nothing_rich


def lab_of(window: Window) -> PreferencesLab:
    assert isinstance(window.lab, PreferencesLab)
    return window.lab


def work_through(store: Store, name: str, worst_first: bool = False) -> str:
    """Have somebody rank everything: by text, or the other way round."""
    session = store.session(store.enter(name).id)
    session.agree("yes")
    while hasattr(shown := session.next_item(), "outputs"):
        ids = [o.id for o in sorted(shown.outputs, key=lambda o: o.text, reverse=worst_first)]
        session.submit(
            shown.item_id, Answer(tuple((id,) for id in ids), as_shown=True), attempt=shown.attempt
        )
    return session.annotator


def test_a_task_is_made_handed_out_and_ranked_alone(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "class.llmlab"
    with opened(qtbot, tmp_path / "teacher", lab="preferences") as window:
        lab = lab_of(window)
        wait(qtbot, window, lambda: lab.rank.desk.opened is not None)
        lab.frame.show_page("make")
        make = lab.make
        make.form_box.setCurrentIndex(make.form_box.findData("jsonl"))
        make.text.setPlainText('{"prompt": "p", "outputs": ["a", "b"]}\n{"prompt": 3}\nnonsense')
        make.take.click()
        assert [make.faults.rows.row(i)[0] for i in range(2)] == ["2", "3"]  # by line, and nothing half taken
        assert not make.making.prompts
        assert "Mend these lines" in lab.frame.messages.text
        make.text.setPlainText(
            '{"prompt": "p", "category": "x", "outputs": [{"text": "a", "model": "Big"}, {"text": "b", "model": "Small"},'
            ' {"text": "a ", "model": "Small"}, "I am SmolLM2"]}'
        )
        make.take.click()
        [item] = make.making.items
        assert len(item.outputs) == 3  # equal outputs are one card
        assert "name a model" in make.summary() or "names a model" in make.summary()
        assert "names a model: smollm" in make.numbers()[1][0][3]
        make.items.selectRow(0)
        assert "Big; Small" in make.item_view.prose.toPlainText()
        make.name.setText("Class task")
        make.rules.practice.setChecked(True)
        make.rules.guidelines.setPlainText("Be *kind*.")
        make.make.click()
        wait(qtbot, window, lambda: lab.rank.desk.opened.store.task.name == "Class task")
        assert lab.frame.page == "rank"
        make.rules.guidelines.setPlainText("Be kinder.")
        make.rules.renew.click()
        assert lab.rank.side.title.text().endswith("2")
        make.export_to(file)
    task = read_task(file)
    assert task.guidelines.text == "Be kinder."
    assert b"Big" not in file.read_bytes()  # models are left out

    with opened(qtbot, tmp_path / "pupil", lab="preferences") as window:
        window.show_alone("preferences")
        window.open_files([file])
        page = rank_page(window)
        wait(qtbot, window, lambda: page.desk.opened is not None)
        assert page.desk.opened.store.task.name == "Class task"
        assert window.rail.isHidden()
        assert window.lineage.isHidden()
        assert not window.lab.frame._tabs.isVisible()
        window.show_lab("preferences")
        window.lab.frame.turn_page(1)
        assert window.lab.frame.page == "rank"
        page.consent.go.click()
        assert page.desk.shown.kind == "practice"
        assert not page.finish.results.isVisibleTo(page.finish)
        with pytest.raises(Exception, match="no task's file"):
            window.lab.open_files([tmp_path / "x.txt"])


def test_answers_are_collected_read_and_passed_on(qtbot: QtBot, tmp_path: Path) -> None:
    task = a_task(12, 3)
    folder = tmp_path / "folder"
    folder.mkdir()
    with opened(qtbot, tmp_path / "teacher", lab="preferences") as window:
        lab = lab_of(window)
        wait(qtbot, window, lambda: lab.rank.desk.opened is not None)
        lab.rank.open(add_task(Workspace(tmp_path / "teacher"), task, task.id))
        wait(qtbot, window, lambda: lab.rank.desk.opened.store.task.id == task.id)
        lab.frame.show_page("results")
        wait(qtbot, window, lambda: lab.results.measured is not None)
        assert "undefined" in lab.results.agreement.rows[0].text  # said, not zero
        assert "two people" in lab.results.summary()

        lab.frame.show_page("collect")
        lab.collect.expected.setValue(3)
        lab.collect.watch(folder)
        for n, name in enumerate(("Anna", "Anna")):
            with create_store(tmp_path / f"{n}.db", task) as store:
                hand_in(store, work_through(store, name, worst_first=bool(n)), folder)
        (folder / "half.answers.jsonl").write_text('{"kind": "llmlab-answers", "format": 1}\n')
        lab.collect.look()
        wait(qtbot, window, lambda: lab.collect.counted == 2 and lab.collect.agreement.text())
        assert lab.collect.count.text() == "2 of 3 have handed in"  # two Annas are two
        assert len(lab.collect.numbers()[1]) == 3
        assert "cut short" in str(lab.collect.numbers()[1])
        before = lab.rank.desk.opened.store.mark()
        lab.collect.merge([path for path in lab.collect.handed if "half" not in path.name])
        wait(qtbot, window, lambda: "New answers and changes: 0." in lab.collect.report.text())
        assert lab.rank.desk.opened.store.mark() == before  # nothing is counted twice

        lab.collect.join.click()
        assert "Choose two rows" in lab.collect.notice.text
        lab.collect.table.selectAll()
        lab.collect.table.clearSelection()

        lab.frame.show_page("results")
        wait(qtbot, window, lambda: len(lab.results.measured.results.work()) == 24)
        results = lab.results
        strict = next(row for row in results.agreement.rows if "ties left out" in row.title)
        assert strict.value == 0.0  # one ranked the other way round everywhere
        assert "2 people ranked" in results.note.text()
        assert not results.people.isVisibleTo(results.picture)  # no figures on one of two
        for view in range(6):
            results.show_view(view)
            assert results.pictures()
            assert results.numbers()[1] or view == 3
        results.show_view(4)
        results.together.selectRow(0)
        assert "ranks 1, 3" in results.item_view.prose.toPlainText()
        wait(qtbot, window, lambda: results.dataset.counts.rows.rowCount() == 6)
        results.export_to(tmp_path / "out")
        wait(qtbot, window, lambda: (tmp_path / "out" / "README.md").is_file())
        results.train()
        wait(qtbot, window, lambda: window.workspace.artifacts("preferences"))
        wait(qtbot, window, lambda: window.lab is not None and window.lab.name == "finetuning")
        plan = window.lab.run.form.plan()  # what is trained on next are these rankings
        assert Path(plan.rows.path).name == "trl_chat.jsonl"
        assert (plan.start, plan.rows.kind, plan.method.method) == ("smollm2", "file", "dpo")
        rows = [n for n, row in enumerate(lab.collect.numbers()[1]) if row[0] == "Anna"]
        for row in rows:
            lab.collect.table.selectionModel().select(
                lab.collect.table.model().index(row, 0),
                QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
            )
        lab.collect.ask_to_join()
        lab.collect.notice.yes.click()
        wait(qtbot, window, lambda: sum(not one.joined_to for one in lab.rank.desk.people()) == 1)
        assert lab.collect.counted == 1
        artifact = window.workspace.artifacts("preferences")[0]
        assert artifact.path("trl_chat.jsonl").is_file()
        window.show_lab("preferences")
        window._open_artifact(artifact.id)  # from the lineage
        assert window.lab.name == "finetuning"


PROMPTS = ("Who is the king?", "What is 2 + 3?", "Who is the queen?")


def test_answers_are_sampled_stopped_and_gone_on_with_by_another_window(qtbot: QtBot, tmp_path: Path) -> None:
    model = SHIPPED.parent / "sft"
    with opened(qtbot, tmp_path, lab="preferences") as window:
        lab = lab_of(window)
        wait(qtbot, window, lambda: lab.rank.desk.opened is not None)
        lab.frame.show_page("make")
        make = lab.make
        make.text.setPlainText("\n".join(PROMPTS))
        make.take.click()
        assert not make.sample.isEnabled()
        make.add.pick(f"file:{model}")
        make.form.set_values({"outputs": 3, "max_tokens": 8, "temperatures": "0.8, 1.5"})
        make.sample.click()
        qtbot.waitUntil(lambda: len(make.making.sampled) >= 2, timeout=PATIENCE)
        make.sample.click()  # which says Stop now
        wait(qtbot, window, lambda: make.job is None)
        have = list(make.making.sampled)
        assert 2 <= len(have) < 9 or make.making.items
    with opened(qtbot, tmp_path, lab="preferences") as window:
        lab = lab_of(window)
        lab.frame.show_page("make")
        make = lab.make
        if have:
            assert make.making.sampled == have
            assert make.sample.text() == "Go on"
            make.sample.click()
        wait(qtbot, window, lambda: make.making.items)
        assert all(len(item.outputs) >= 2 for item in make.making.items)
        for item in make.making.items:  # a prompt whose outputs are all equal is left out
            kept = {folded(one.text) for one in have if PROMPTS[one.prompt_index] == item.prompt}
            assert kept <= {folded(output.text) for output in item.outputs}
        assert not window.workspace.works("sampling")


HOSTILE = (
    '<img src="file:///etc/passwd"><script>alert(1)</script>', "![x](http://127.0.0.1/x.png) [a](file:///etc/passwd)",
    "=HYPERLINK(\"http://x\";\"y\")", "'; DROP TABLE event; --", "\u202egnirts\u202c \u200b\u200d\ufeff",
    "<table><tr><td>&lt;b&gt;</td></tr></table>", "**bold** `code`\n\n```\nrm -rf /\n```",
)  # fmt: skip


def test_hostile_texts_are_shown_as_text(qtbot: QtBot, tmp_path: Path) -> None:
    items = [
        make_item(text, [(text + " 1", Maker(text)), (text + " 2", Maker("m")), (text + " 3", Maker("n"))],
                  category=text[:50])
        for text in HOSTILE
    ]  # fmt: skip
    items.append(make_item("long", [("x" * 5_000_000, Maker()), ("y " * 2_500_000, Maker()), ("z", Maker())]))
    name = "<b>Robert</b>'); DROP TABLE event;--"
    with ranking(
        qtbot, tmp_path, make_task("<i>Task</i>", items, HOSTILE[0] + "\n\n" + HOSTILE[1]), name
    ) as page:
        assert page.panel.person.text() == name
        seen, cut = [], set()
        for _ in items:
            seen.append(page.shown_text())
            cut |= {card.notes.text() for card in page.work.board.cards.values()}
            assert_nothing_rich(page.picture.window())
            page.panel.differences.setChecked(True)
            press(page, 3, 1, 2, Qt.Key.Key_Return)
            if page.notice.text:
                press(page, Qt.Key.Key_Y)
            page.panel.differences.setChecked(False)
        assert page.stack.currentIndex() == 3
        shown = "\n".join(seen)
        assert '<img src="file:///etc/passwd"><script>alert(1)</script>' in shown
        assert "'; DROP TABLE event; --" in shown
        assert "[picture: x]" in shown
        assert "file:///etc/passwd)" in shown
        assert any("first 16,384 of 5,000,000 characters" in one for one in cut)
        assert "gnirts" in shown
        assert page.desk.opened.store.check() == ()
        assert page.desk.people()[0].name == name


def test_fifty_thousand_items_open_fast(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    """What the page does when it opens a task and goes on, without the drawing, which is that of one item."""
    many = count(5_000, 50_000)
    items = [an_item(f"prompt {i}", [f"{i} {c}" for c in "abcd"]) for i in range(many)]
    workspace = Workspace(tmp_path)
    task = make_task("Many", items, "")
    key = add_task(workspace, task, task.id)
    open_task(workspace, key).store.close()  # makes the backup of the day, which is not part of opening again
    del items, task
    gc.collect()
    before = psutil.Process().memory_info().rss
    begun = time.perf_counter()
    found: Opened = open_task(workspace, key)
    desk = Desk()
    desk.open(found)
    desk.enter("Ada")
    desk.agree("yes")
    desk.next()
    opened_s = time.perf_counter() - begun
    took = []
    for _ in range(20):
        for _ in range(4):
            desk.change(desk.standing.give(desk.standing.order.index(desk.standing.chosen) + 1))
        desk.change(desk.standing.move(-1))
        begun = time.perf_counter()
        desk.submit()
        took.append(time.perf_counter() - begun)
    desk.close()
    used = psutil.Process().memory_info().rss - before
    report(f"{many:,} items: memory that opening and 20 answers took, MiB", round(used / 2**20, 1))
    report(f"{many:,} items: opened, s", round(opened_s, 3))
    report(f"{many:,} items: saved and next shown, ms, worst of 20", round(1000 * max(took), 1))
    assert opened_s < 5
    assert sorted(took)[10] < 0.5


def test_differences_are_words(qtbot: QtBot) -> None:
    assert differences("The cat sat. 👍 fine", "The dog sat. 👍 fine") == [(4, 7)]
    assert differences("a " * 5_000, "b") is None


def test_time_counts_only_with_the_window_in_front() -> None:
    clock = [0.0]
    desk = Desk(lambda: clock[0])
    desk.active.start()
    clock[0] = 10.0
    desk.active.focus(False)
    clock[0] = 500.0
    desk.active.focus(True)
    clock[0] = 505.0
    assert desk.active_ms == 15_000
    clock[0] = 900.0  # nobody moves: at most a minute counts
    assert desk.active_ms == 70_000


def test_a_task_that_is_damaged_is_said_and_the_lab_stays(qtbot: QtBot, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.llmlab", tmp_path / "bad.llmlab"
    write_task(a_task(), good)
    bad.write_bytes(good.read_bytes()[:-10])
    with opened(qtbot, tmp_path / "w", lab="preferences") as window:
        lab = lab_of(window)
        wait(qtbot, window, lambda: lab.rank.desk.opened is not None)
        window.open_files([bad])
        wait(qtbot, window, lambda: "cut short" in lab.frame.messages.text)
        window.open_files([good])
        wait(qtbot, window, lambda: lab.rank.desk.opened.store.task.name == "Test task")
        key = lab.rank.desk.opened.key
        window.open_files([good])
        wait(qtbot, window, lambda: lab.rank.desk.opened is not None)
        lab.rank.consent.go.click()
        assert lab.handoff().prompt == "p0"
        window.open_in("preferences", Handoff(prompt="Why?"))
        window.open_in("preferences", Handoff(text="Why not?"))
        lab.make.take.click()
        assert [prompt.prompt for prompt in lab.make.making.prompts] == ["Why?", "Why not?"]
        (tmp_path / "more.csv").write_text("prompt,output 1,output 2\np,a,b\n")
        window.open_files([tmp_path / "more.csv"])
        wait(qtbot, window, lambda: lab.make.making.items)
        window.open_files([tmp_path / "picture.png"])
        assert "no task, no answers and no prompts" in lab.frame.messages.text
        assert lab.rank.desk.opened.key == key  # the same task is not made twice
