"""Damaged databases: refused or read, never a crash, never written to; what is left of them is rescued."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.preferences.hand_in import event_rows
from core.preferences.rescue import LOST, rescue
from core.preferences.results import read_results
from core.preferences.store import Store, open_store
from core.preferences.task import Task
from core.problems import LabError
from core.stages import run_to_end
from tests.core.preferences.small_tasks import a_store, a_task, an_item, answer_all

PAGE = 4096


def a_used_store(folder: Path) -> tuple[Store, Task]:
    """Some hundred pages: long outputs on overflow pages, three people, part of it in the write-ahead log."""
    from core.preferences.task import Maker, make_item, make_task

    long = [
        make_item(f"Long {n}", [(f"{k} " + "word " * 3_000, Maker("m")) for k in range(3)]) for n in range(4)
    ]
    task = make_task("Used", [*(an_item(n) for n in range(60)), *long], "Be kind.")
    store = a_store(folder, task)
    for name in "abc":
        answer_all(store.session(store.enter(name).id), random.Random(1), 1.0)
    return store, task


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Task, dict[str, Any]]:
    """The bytes of a store and its log as a crash leaves them, its task and its events by id."""
    folder = tmp_path_factory.mktemp("used")
    store, task = a_used_store(folder)
    rows = {row.id: row for row in event_rows(store)}
    assert store.path is not None
    files = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    store.close()
    return files, task, rows


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / "rankings.db"


MUTATIONS: list[Callable[[random.Random, bytearray], None]] = []


def mutation(
    function: Callable[[random.Random, bytearray], None],
) -> Callable[[random.Random, bytearray], None]:
    MUTATIONS.append(function)
    return function


@mutation
def flip_bytes(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice([1, 10, 300])):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


@mutation
def zero_pages(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.choice([1, 3])):
        at = PAGE * chance.randrange(len(data) // PAGE)
        data[at : at + PAGE] = bytes(PAGE)


@mutation
def random_page(chance: random.Random, data: bytearray) -> None:
    at = PAGE * chance.randrange(len(data) // PAGE)
    data[at : at + PAGE] = chance.randbytes(PAGE)


@mutation
def cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(1, len(data)) :]


@mutation
def swap_pages(chance: random.Random, data: bytearray) -> None:
    one, other = (PAGE * chance.randrange(len(data) // PAGE) for _ in range(2))
    data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]


@mutation
def lie_in_the_header(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(0, 108)] = chance.randrange(256)


@pytest.mark.timeout(1500)
def test_damaged_files_are_refused_or_read_and_rescued_without_being_written_to(
    tmp_path: Path, used: tuple[dict[str, bytes], Task, dict[str, Any]], count: Callable[[int, int], int],
    report: Callable[[str, Any], None],
) -> None:  # fmt: skip
    files, task, rows = used
    assert all(_bytes_of(row) in b"".join(files.values()) for row in rows.values())
    chance = random.Random(15)
    opened = refused = 0
    shares = []
    for number in range(count(24, 500)):
        data = {name: bytearray(one) for name, one in files.items()}
        victim = chance.choice([*data, "rankings.db"])
        MUTATIONS[number % len(MUTATIONS)](chance, data[victim])
        if chance.random() < 0.2:
            data.pop("rankings.db-wal", None)
        folder = tmp_path / str(number)
        path = laid_out({name: bytes(one) for name, one in data.items()}, folder)
        before = path.read_bytes()
        try:
            with open_store(path, read_only=True) as store:
                store.check()
                read_results(store)
            opened += 1
        except LabError:
            refused += 1
        assert path.read_bytes() == before, "reading wrote to the file"
        found = run_to_end(rescue(path, folder / "rescued", task)).result
        assert path.read_bytes() == before, "rescue wrote to the file"
        assert found.store is not None
        with open_store(found.store) as store:
            assert store.check() == () or found.events < len(rows)
            there = {row.id: row for row in event_rows(store)}
        wrong = [id for id, row in there.items() if id not in rows or rows[id] != row]
        shares.append(_rescued(data, there, rows))
        assert not wrong, f"{number}: rescued what was never said"
        for file in sorted(folder.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    report("preferences: damaged files: opened / refused", f"{opened} / {refused}")
    report(
        "preferences: damaged files: of events on untouched pages, rescued [%]",
        round(100 * sum(shares) / len(shares), 2),
    )
    assert sum(shares) / len(shares) >= 0.99


def _rescued(data: dict[str, bytearray], there: dict[str, Any], rows: dict[str, Any]) -> float:
    """Of the events whose text still stands in the bytes as it was written, how many were rescued."""
    whole = b"".join(bytes(one) for one in data.values())
    standing = [id for id, row in rows.items() if _bytes_of(row) in whole]
    return sum(id in there for id in standing) / len(standing) if standing else 1.0


def _bytes_of(row: Any) -> bytes:
    """An event as it stands in its cell: the texts one after the other."""
    item, before = (text or "" for text in (row.item, row.supersedes))
    small = "" if row.attempt in (0, 1) else str(row.attempt)
    return f"{row.type}{item}{small}{before}{row.shown}{row.payload}{row.client_time}".encode()


def test_a_file_whose_first_page_is_gone_gives_everything_with_the_task_file(
    tmp_path: Path, used: tuple[dict[str, bytes], Task, dict[str, Any]]
) -> None:
    files, task, rows = used
    data = bytearray(files["rankings.db"])
    data[:PAGE] = os.urandom(PAGE)
    path = laid_out({**files, "rankings.db": bytes(data)}, tmp_path / "a")
    with pytest.raises(LabError, match="damaged"):
        open_store(path)
    found = run_to_end(rescue(path, tmp_path / "out", task)).result
    assert (found.events, found.homeless) == (len(rows), 0)
    with open_store(tmp_path / "out" / "rankings.db") as store:
        assert store.check() == ()
        assert len(read_results(store).rankings) == 3 * len(task.items)


def test_without_the_task_the_answers_are_written_beside(tmp_path: Path) -> None:
    store = a_store(tmp_path, a_task(3))
    answer_all(store.session(store.enter("Ada").id))
    store.close()
    assert store.path is not None
    data = store.path.read_bytes().replace(b'"sha256"', b'"sha257"')
    (tmp_path / "broken.db").write_bytes(data)
    found = run_to_end(rescue(tmp_path / "broken.db", tmp_path / "out")).result
    assert (found.store, found.homeless) == (None, 4)
    assert len((tmp_path / "out" / LOST).read_text(encoding="utf-8").splitlines()) == 4
    with pytest.raises(LabError, match="not empty"):
        rescue(tmp_path / "broken.db", tmp_path / "out")
    with pytest.raises(LabError, match="does not exist"):
        rescue(tmp_path / "nothing.db", tmp_path / "more")


def test_a_hostile_trigger_is_never_run(tmp_path: Path) -> None:
    store = a_store(tmp_path, a_task(3))
    answer_all(store.session(store.enter("Ada").id))
    store.close()
    raw = sqlite3.connect(store.path)
    raw.execute(
        "CREATE TRIGGER evil BEFORE INSERT ON draft BEGIN INSERT INTO note VALUES ('ran', hex(randomblob(9))); END"
    )
    raw.execute("CREATE VIEW view_of_event AS SELECT * FROM event")
    raw.commit()
    raw.close()
    for read_only in (True, False):
        with pytest.raises(LabError, match="not those of LLM Lab"):
            open_store(store.path, read_only=read_only)
    found = run_to_end(rescue(store.path, tmp_path / "out")).result
    assert found.events == 4
    with open_store(found.store) as again:
        assert again.check() == ()
