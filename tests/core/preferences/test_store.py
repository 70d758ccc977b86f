"""The store: it only adds, it is checked when it is opened, and people are ids with names."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.preferences.database import Mounted, refuse_share, server_engine
from core.preferences.session import Shown
from core.preferences.store import create_store, open_store
from core.problems import LabError
from tests.core.preferences.small_tasks import a_store, a_task, by_text, tied


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = 'x'", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["event", "item", "task"])
def test_the_database_itself_refuses_to_change_what_was_saved(
    tmp_path: Path, table: str, statement: str
) -> None:
    store = a_store(tmp_path)
    store.enter("Ada")
    with pytest.raises(LabError, match="refused to change"), store.writing() as connection:
        connection.execute(text(statement.format(table)))
    store.close()
    raw = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.DatabaseError, match="only ever added to"):
        raw.execute(statement.format(table))
    raw.close()


def test_every_connection_is_set_to_be_durable(tmp_path: Path) -> None:
    with a_store(tmp_path) as store, store.reading() as one, store.reading() as two:
        for connection in (one, two):
            for pragma, value in (
                ("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1), ("trusted_schema", 0),
                ("cell_size_check", 1), ("mmap_size", 0), ("secure_delete", 1),
            ):  # fmt: skip
                assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value, pragma


def test_two_people_of_one_name_stay_two_until_somebody_joins_them(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        one, two = store.enter("Anna"), store.enter("Anna")
        assert one.id != two.id
        assert [person.name for person in store.annotators()] == ["Anna", "Anna"]
        store.rename(two.id, "Anna B.")
        store.join(two.id, one.id)
        assert {person.id: person.joined_to for person in store.annotators()} == {one.id: "", two.id: one.id}
        with pytest.raises(LabError, match="cannot be joined"):
            store.join(one.id, two.id)
        for name in ("", " ", "x" * 201, "a\0"):
            with pytest.raises(LabError, match="will not do"):
                store.enter(name)
        with pytest.raises(LabError, match="has entered"):
            store.session("nobody")


def test_new_guidelines_are_a_new_version_that_answers_name(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    session = store.session(store.enter("Ada").id)
    first = session.next_item()
    assert isinstance(first, Shown)
    assert first.guideline_version == 1
    store.new_guidelines("Be **brief**.")
    store.close()
    with open_store(store.path) as again:
        assert again.task.guidelines.version == 2
        assert again.task.guidelines.text == "Be **brief**."
        shown = again.session(session.annotator).next_item()
        assert isinstance(shown, Shown)
        assert shown.guideline_version == 2


def test_items_are_listed_and_found_by_their_text(tmp_path: Path) -> None:
    with a_store(tmp_path, a_task(30)) as store:
        assert store.count() == 30
        assert [line.number for line in store.lines(10, 5)] == [11, 12, 13, 14, 15]
        assert [line.prompt_start for line in store.lines(0, 9, "question 7")] == ["Question 7?"]
        assert store.lines(0, 9, "100%") == ()
        with pytest.raises(LabError, match="no item"):
            store.item("x'; DROP TABLE item; --")


def test_what_is_no_store_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not exist"):
        open_store(tmp_path / "none.db")
    (tmp_path / "text.db").write_bytes(b"no database" * 20)
    with pytest.raises(LabError, match="no database of rankings"):
        open_store(tmp_path / "text.db")
    raw = sqlite3.connect(tmp_path / "other.db")
    raw.execute("CREATE TABLE a (b)")
    raw.commit()
    raw.close()
    with pytest.raises(LabError, match="another program"):
        open_store(tmp_path / "other.db")
    store = a_store(tmp_path)
    store.close()
    with pytest.raises(LabError, match="exists already"):
        create_store(store.path, a_task())
    raw = sqlite3.connect(store.path)
    raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(LabError, match="schema 99"):
        open_store(store.path)


@pytest.mark.parametrize(
    "hostile",
    [
        "CREATE TRIGGER evil AFTER INSERT ON event BEGIN DELETE FROM draft; END",
        "DROP TRIGGER event_no_delete",
        "CREATE VIEW more AS SELECT * FROM event",
        "DROP TABLE slot",
        "ALTER TABLE event ADD COLUMN more TEXT",
    ],
)
def test_a_database_with_other_tables_or_triggers_is_not_opened(tmp_path: Path, hostile: str) -> None:
    store = a_store(tmp_path)
    store.close()
    raw = sqlite3.connect(store.path)
    raw.execute(hostile)
    raw.commit()
    raw.close()
    with pytest.raises(LabError, match="not those of LLM Lab"):
        open_store(store.path)


def test_a_network_share_is_refused_with_its_kind(tmp_path: Path) -> None:
    mounted = [Mounted("/", "ext4", "rw"), Mounted(str(tmp_path), "cifs", "rw")]
    with pytest.raises(LabError, match=r"network share \(cifs\)"):
        refuse_share(tmp_path / "rankings.db", mounted)
    refuse_share(tmp_path / "rankings.db", [Mounted("/", "ext4", "rw")])
    with pytest.raises(LabError, match="UNC"):
        refuse_share(Path("//server/class/rankings.db"), [])


def test_a_url_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(LabError) as refused:
        server_engine("postgresql://ada:verysecret@host/db")
    assert "verysecret" not in str(refused.value)
    with pytest.raises(LabError, match="mysql"):
        server_engine("mysql://host/db")
    engine = server_engine("postgresql://ada@db.example.org/db", "verysecret")
    assert engine.url.query["sslmode"] == "verify-full"  # libpq's own default would talk to anybody
    assert "verysecret" not in repr(engine)


def test_fifty_thousand_items_open_in_a_second_and_the_next_one_comes_at_once(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, Any], None]
) -> None:
    import time

    import psutil

    number = count(3_000, 50_000)
    a_store(tmp_path, a_task(number)).close()
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    with open_store(tmp_path / "rankings.db") as store:
        session = store.session(store.enter("Ada").id)
        assert isinstance(session.next_item(), Shown)
        opened = time.perf_counter() - began
        waits = []
        for _ in range(20):
            began = time.perf_counter()
            shown = session.next_item()
            waits.append(time.perf_counter() - began)
            assert isinstance(shown, Shown)
            session.submit(shown.item_id, tied(shown))
        grown = psutil.Process().memory_info().rss - before
    report(f"preferences: {number:,} items opened, first shown [s]", round(opened, 3))
    report(f"preferences: {number:,} items, next one, slowest of 20 [ms]", round(1000 * max(waits), 1))
    report(f"preferences: {number:,} items, memory [MB]", round(grown / 1e6, 1))
    assert opened < 1
    assert max(waits) < 0.1


def test_a_sound_store_has_no_fault_and_one_without_its_items_has(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    session = store.session(store.enter("Ada").id)
    shown = session.next_item()
    assert isinstance(shown, Shown)
    session.submit(shown.item_id, by_text(shown))
    assert store.check() == ()
    store.close()
    raw = sqlite3.connect(store.path)
    raw.execute("DROP TRIGGER item_no_delete")
    raw.execute("DELETE FROM item WHERE number = 6")
    raw.execute(
        "CREATE TRIGGER item_no_delete BEFORE DELETE ON item BEGIN SELECT RAISE(ABORT, 'item is only ever added to'); END"
    )
    raw.commit()
    raw.close()
    with open_store(store.path) as again:
        assert again.check() == ("5 items are there; the task has 6.",)
