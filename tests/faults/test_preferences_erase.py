"""Erasing a person leaves no byte in any file within reach: database, log, free pages, backups, snapshots."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.artifacts import Workspace
from core.preferences.answers import Answer, Draft
from core.preferences.backups import back_up, backups
from core.preferences.erasing import answers_of, erase_annotator, note_export, rewrite_snapshots
from core.preferences.exporting import export_dataset
from core.preferences.hand_in import event_rows, hand_in
from core.preferences.merging import merge_into
from core.preferences.publishing import publish_preferences
from core.preferences.results import read_results
from core.preferences.session import Shown
from core.preferences.store import Store, open_store
from core.problems import LabError
from core.stages import run_to_end
from tests.core.preferences.small_tasks import a_store, a_task, by_text

NAME = "Zyxqv-8812"


def worked(store: Store, name: str) -> str:
    """A person uses everything: drafts, answers, comments, undo, skip, a category, consent."""
    person = store.enter(name)
    session = store.session(person.id)
    session.agree(f"{name} agrees")
    for number in range(6):
        shown = session.next_item()
        assert isinstance(shown, Shown)
        session.save_draft(shown.item_id, Draft({"note": f"{name} thinks {number}"}))
        if number == 2:
            session.skip(shown.item_id, f"{name} cannot say")
        elif number < 5:
            tiers = by_text(shown).tiers
            session.submit(
                shown.item_id,
                Answer(tiers, as_shown=True, comment=f"{name} says {number} " + "at length " * 900),
            )
    session.undo()
    session.opt_out(f"about {name}")
    return person.id


def files_with(folder: Path, *texts: str) -> list[str]:
    wanted = [text.encode(code) for text in texts for code in ("utf-8", "utf-16-le")]
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(text in path.read_bytes() for text in wanted)
    ]


def test_no_byte_is_left_in_any_file_within_reach_and_nothing_of_others_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "work" / "preferences" / "one"
    folder.mkdir(parents=True)
    workspace = Workspace(tmp_path / "workspace")
    store = a_store(folder, a_task(8))
    other = worked(store, "Bob")
    back_up(store)
    person = worked(store, NAME)
    back_up(store, always=True)
    results = read_results(store)
    snapshot = run_to_end(publish_preferences(workspace, results, "Class")).result
    thrown = run_to_end(publish_preferences(workspace, results, "Old")).result
    workspace.trash(thrown.id)
    run_to_end(export_dataset(results, tmp_path / "given away"))
    note_export(store, tmp_path / "given away")
    theirs = [row for row in event_rows(store) if row.annotator == other]
    answers = answers_of(store, person)
    assert {one.event_id for one in results.rankings if one.annotator == person} < answers
    store.close()
    (folder / "rankings.db.damaged-123").write_text(NAME)
    assert files_with(tmp_path / "workspace", NAME, person)

    erased = run_to_end(erase_annotator(folder / "rankings.db", person)).result
    run_to_end(rewrite_snapshots(workspace, folder / "rankings.db", answers))

    assert files_with(tmp_path / "workspace", NAME, person) == []
    assert not [id for id in answers if files_with(tmp_path / "workspace", id)]
    assert erased.exports == (str(tmp_path / "given away"),)
    assert (erased.events, erased.kept, erased.copies) == (len(answers), len(theirs), 2)
    with open_store(folder / "rankings.db") as again:
        assert [row for row in event_rows(again) if row.annotator == other] == theirs
        assert [one.name for one in again.annotators()] == ["Bob"]
        assert again.check() == ()
        assert again.session(other).undo() is not None  # and Bob's work goes on
    assert len(backups(folder / "rankings.db")) == 1
    names = [artifact.name for artifact in workspace.artifacts("preferences")]
    assert names == ["Class"]
    assert workspace.artifacts("preferences")[0].id != snapshot.id
    assert workspace.trashed() == []


def test_a_store_that_is_open_elsewhere_is_not_erased_from_and_nothing_is_changed(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    person = worked(store, NAME)
    rows = event_rows(store)
    with pytest.raises(LabError, match="open in another window"):
        run_to_end(erase_annotator(tmp_path / "rankings.db", person))
    assert event_rows(store) == rows
    store.close()
    with pytest.raises(LabError, match="Nobody of the id"):
        erase_annotator(tmp_path / "rankings.db", "nobody")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_person_goes_with_all_ids_that_were_joined_and_with_the_names_of_handed_in_files(
    tmp_path: Path,
) -> None:
    task = a_task(8)
    (tmp_path / "laptop").mkdir()
    (tmp_path / "class").mkdir()
    with a_store(tmp_path / "laptop", task) as laptop:
        first = worked(laptop, NAME)
        file = hand_in(laptop, first, tmp_path / "class")
    (tmp_path / "teacher").mkdir()
    with a_store(tmp_path / "teacher", task) as store:
        run_to_end(merge_into(store, [file]))
        second = worked(store, NAME + " again")
        store.join(second, first)
        worked(store, "Bob")
    erased = run_to_end(erase_annotator(tmp_path / "teacher" / "rankings.db", first)).result
    assert set(erased.ids) == {first, second}
    assert erased.exports == (str(file),)
    assert files_with(tmp_path / "teacher", NAME, first, second) == []


def test_a_disk_that_refuses_leaves_the_old_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(tmp_path)
    person = worked(store, NAME)
    rows = event_rows(store)
    store.close()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.preferences.erasing.durable.sync_file", refuse)
    with pytest.raises(LabError, match="full"):
        run_to_end(erase_annotator(tmp_path / "rankings.db", person))
    monkeypatch.undo()
    with open_store(tmp_path / "rankings.db") as again:
        assert event_rows(again) == rows
        assert again.check() == ()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_program_that_waits_for_the_old_file_is_not_told_that_its_answer_was_saved(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    person = worked(store, NAME)
    store.close()
    raw = sqlite3.connect(tmp_path / "rankings.db", isolation_level=None)
    handle = open(tmp_path / "rankings.db", "rb")  # noqa: SIM115 - kept open over the erasing
    raw.close()
    run_to_end(erase_annotator(tmp_path / "rankings.db", person))
    handle.seek(0)
    assert set(handle.read()) == {0}  # the old file holds nothing any more, for whoever still has it
    handle.close()
