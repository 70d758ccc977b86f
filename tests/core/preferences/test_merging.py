"""Answers from many machines: merged once, conflicts told, handed in as files, copied, restored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.preferences.backups import back_up, backups, restore
from core.preferences.hand_in import ENDING, event_rows, hand_in, watch_folder
from core.preferences.merging import MergeReport, merge_into, new_store_like
from core.preferences.results import read_results
from core.preferences.session import Shown
from core.preferences.store import Store, open_store
from core.preferences.task import Task
from core.problems import LabError
from core.stages import run_to_end
from tests.core.preferences.small_tasks import Clock, a_store, a_task, answer_all, by_text, tied


def laptop(folder: Path, name: str, task: Task, answers: int = 4) -> Store:
    (folder / name).mkdir()
    store = a_store(folder / name, task)
    answer_all(store.session(store.enter(name).id), most=answers)
    return store


def merge(store: Store, *paths: Path | None) -> MergeReport:
    report: MergeReport = run_to_end(merge_into(store, [path for path in paths if path])).result
    return report


def test_thirty_laptops_are_merged_and_merging_again_changes_nothing(tmp_path: Path) -> None:
    task = a_task(5)
    laptops = [laptop(tmp_path, f"P{number}", task, 5) for number in range(30)]
    with a_store(tmp_path, task) as store:
        report = merge(store, *(one.path for one in laptops))
        assert (report.new, report.conflicts, report.faults) == (30 * 6, (), ())
        assert len(read_results(store).rankings) == 150
        before = store.mark()
        assert merge(store, *(one.path for one in laptops)).new == 0
        assert store.mark() == before
        assert store.check() == ()
    for one in laptops:
        assert one.check() == ()
        one.close()


def test_one_person_on_two_machines_keeps_both_answers_and_the_conflict_is_told(tmp_path: Path) -> None:
    task = a_task(4)
    first = laptop(tmp_path, "A", task, 2)
    person = first.annotators()[0].id
    first.close()
    (tmp_path / "B").mkdir()
    shutil.copy(str(first.path), tmp_path / "B" / "rankings.db")
    with (
        open_store(tmp_path / "A" / "rankings.db") as here,
        open_store(tmp_path / "B" / "rankings.db") as there,
    ):
        for store in (here, there):
            shown = store.session(person).next_item()
            assert isinstance(shown, Shown)
            store.session(person).submit(shown.item_id, by_text(shown) if store is here else tied(shown))
        report = merge(here, there.path)
        assert report.new == 1
        (conflict,) = report.conflicts
        assert (conflict.annotator, conflict.item_id) == (person, shown.item_id)
        assert len(read_results(here).rankings) == 3
        assert {row.id for row in event_rows(here)} >= {conflict.kept, conflict.other}
        assert merge(there, here.path).new == 1
        kept = [{one.event_id for one in read_results(store).rankings} for store in (here, there)]
        assert kept[0] == kept[1]  # whoever merges, the same answer counts


def test_a_file_that_does_not_belong_is_named_and_the_others_are_taken(tmp_path: Path) -> None:
    task = a_task(3)
    good, other = laptop(tmp_path, "good", task), laptop(tmp_path, "other", a_task(4))
    (tmp_path / "text.db").write_text("hello " * 40)
    with a_store(tmp_path, task) as store:
        report = merge(store, tmp_path / "text.db", other.path, store.path, good.path, tmp_path / "none.db")
        assert [bool(one.fault) for one in report.files] == [True, True, True, False, True]
        assert "another task" in report.files[1].fault
        assert "itself" in report.files[2].fault
        assert report.new == 4
        with pytest.raises(LabError, match="no file"):
            merge_into(store, [])
    good.close()
    other.close()


def test_an_event_that_was_changed_on_the_way_does_not_replace_ours(tmp_path: Path) -> None:
    task = a_task(2)
    pupil = laptop(tmp_path, "A", task, 2)
    with a_store(tmp_path, task) as store:
        merge(store, pupil.path)
        file = hand_in(pupil, pupil.annotators()[0].id, tmp_path)
        header, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        import hashlib

        body = "".join(lines).replace("20000", "10")
        values = json.loads(header) | {"body_sha256": hashlib.sha256(body.encode()).hexdigest()}
        file.write_text(json.dumps(values) + "\n" + body, encoding="utf-8")
        report = merge(store, file)
        assert report.new == 0
        assert len(report.files[0].changed) == 2
        assert {one.active_ms for one in read_results(store).rankings} == {20_000}
    pupil.close()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"type":"submit"', '"type":"grant"', "unknown"), ('"turn":2', '"turn":-2', "turn"),
        ('"turn":2', '"turn":true', "turn"), ('"attempt":0', '"attempt":7', "attempt"),
        ('\\"tiers\\":[[', '\\"tiers\\":[[\\"x\\"],[', "fit its item"), ('\\"mode\\"', '\\"mo', "JSON"),
        ('"client_time":"2', '"client_time":"x', "time"), ('"annotator":"', '"annotator":"../', "id|somebody else"),
        ('"item":"', '"item":"0', "no item of this task"), ('"app":"', '"app":"\\u0000', "zero"),
        ('"app":', '"map":', "no event"),
    ],
)  # fmt: skip
def test_a_handed_in_file_that_lies_is_refused_whole(tmp_path: Path, old: str, new: str, fault: str) -> None:
    import hashlib

    task = a_task(2)
    pupil = laptop(tmp_path, "A", task, 2)
    file = hand_in(pupil, pupil.annotators()[0].id, tmp_path)
    pupil.close()
    header, body = file.read_text(encoding="utf-8").split("\n", 1)
    assert old in body
    body = body.replace(old, new)
    values = json.loads(header) | {"body_sha256": hashlib.sha256(body.encode()).hexdigest()}
    file.write_text(json.dumps(values) + "\n" + body, encoding="utf-8")
    with a_store(tmp_path, task) as store:
        report = merge(store, file)
        assert store.mark() == 0
    import re

    assert re.search(fault, report.files[0].fault), report.files[0].fault


def test_a_class_folder_is_watched_while_files_come_in(tmp_path: Path) -> None:
    task = a_task(3)
    (tmp_path / "class").mkdir()
    seen: dict[Path, tuple[int, int]] = {}
    with a_store(tmp_path, task) as store:
        for number in range(3):
            pupil = laptop(tmp_path, f"Anna/{number}".replace("/", " "), task, number + 1)
            hand_in(pupil, pupil.annotators()[0].id, tmp_path / "class")
            (handed,) = watch_folder(tmp_path / "class", seen)
            seen[handed.path] = handed.stamp
            assert (handed.answers, handed.items, handed.complete) == (number + 1, 3, number == 2)
            assert merge(store, handed.path).new == number + 2
            pupil.close()
        assert watch_folder(tmp_path / "class", seen) == ()
        whole = handed.path.read_bytes()
        handed.path.write_bytes(whole[:-5])
        (half,) = watch_folder(tmp_path / "class", seen)
        assert "cut short" in half.fault
        handed.path.write_bytes(whole)
        assert not watch_folder(tmp_path / "class", {half.path: half.stamp})[0].fault
        assert len(store.annotators()) == 3
    assert all(path.name.endswith(ENDING) for path in (tmp_path / "class").iterdir())
    with pytest.raises(LabError, match="cannot be read"):
        watch_folder(tmp_path / "nothing", {})


def test_handing_in_nothing_is_refused_and_an_older_file_stays_where_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_store(tmp_path) as store:
        person = store.enter("Ada").id
        with pytest.raises(LabError, match="nothing to hand in"):
            hand_in(store, person, tmp_path)
        session = store.session(person)
        answer_all(session, most=1)
        before = hand_in(store, person, tmp_path).read_bytes()
        answer_all(session, most=1)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("core.artifacts.durable.os.fsync", refuse)
        with pytest.raises(LabError, match="full"):
            hand_in(store, person, tmp_path)
        monkeypatch.undo()
        (file,) = [path for path in tmp_path.iterdir() if path.name.endswith(ENDING)]
        assert file.read_bytes() == before
        assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_an_empty_store_of_the_same_task_takes_the_answers(tmp_path: Path) -> None:
    pupil = laptop(tmp_path, "A", a_task(3), 3)
    assert pupil.path is not None
    with new_store_like(tmp_path / "new.db", pupil.path) as store:
        assert merge(store, pupil.path).new == 4
        assert read_results(store).rankings == read_results(pupil).rankings
    pupil.close()


def test_copies_are_made_when_something_changed_and_can_be_restored(tmp_path: Path) -> None:
    clock = Clock()
    store = a_store(tmp_path, now=clock)
    session = store.session(store.enter("Ada").id)
    assert back_up(store) is not None
    assert back_up(store) is None  # nothing changed
    answer_all(session, most=1)
    assert back_up(store) is None  # half an hour has not passed
    clock.at += 1801
    made = back_up(store)
    assert made is not None
    answer_all(session, most=2)
    assert back_up(store, always=True) is not None
    assert len(backups(store.path)) == 3  # type: ignore[arg-type]
    rows = event_rows(store)
    store.close()
    assert store.path is not None
    data = bytearray(store.path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    store.path.write_bytes(data)
    with pytest.raises(LabError, match="damaged"):
        open_store(store.path).check()
    restore(backups(store.path)[-1].path, store.path)
    with open_store(store.path, now=clock) as again:
        assert event_rows(again) == rows
        assert again.check() == ()
    assert len(list(tmp_path.glob("rankings.db.damaged-*"))) >= 1


def test_a_damaged_store_is_not_copied_over_good_copies(tmp_path: Path) -> None:
    clock = Clock()
    store = a_store(tmp_path, a_task(60), now=clock)
    session = store.session(store.enter("Ada").id)
    answer_all(session, most=3)
    back_up(store)
    answer_all(session, most=3)
    store.close()
    assert store.path is not None
    data = bytearray(store.path.read_bytes())
    for page in range(8, len(data) // 4096, 2):
        data[4096 * page : 4096 * page + 200] = b"\xff" * 200
    store.path.write_bytes(data)
    clock.at += 4000
    with pytest.raises(LabError, match="damaged"), open_store(store.path, now=clock) as again:
        back_up(again)
    assert len(backups(store.path)) == 1
