"""An answer that was acknowledged is there: after SIGKILL at any moment, on a full disk, with a clock set
back."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.preferences.answers import Draft
from core.preferences.results import read_results
from core.preferences.session import Session, Shown
from core.preferences.store import open_store
from core.problems import LabError
from tests.core.preferences.small_tasks import Clock, a_store, a_task, by_text, tied

ROOT = Path(__file__).resolve().parents[2]

# Reads a path, a person and microseconds a line; a forked child works through the store and says each id that was
# acknowledged, until it is killed. What a child has said has been written into the pipe, which outlives it.
WORKER = """
import os, signal, sys, time
from core.preferences.store import open_store
from core.preferences.answers import Answer, Draft
from core.preferences.session import Shown

def work(path, person, pipe, seed):
    with open_store(path) as store:
        session = store.session(person)
        count = 0
        while True:
            count += 1
            shown = session.next_item()
            if not isinstance(shown, Shown):
                session.undo()
                continue
            session.save_draft(shown.item_id, Draft({"count": count}))
            id = f"{seed}-{count}"
            if count % 7 == 3:
                session.undo()
            saved = session.submit(shown.item_id, Answer((tuple(o.id for o in shown.outputs),)), client_id=id)
            os.write(pipe, (saved.event_id + "\\n").encode())

print("ready", flush=True)
for line in sys.stdin:
    path, person, microseconds, seed = line.rstrip().split("|")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(path, person, writing, seed)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(int(microseconds) / 1e6)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = b""
    while block := os.read(reading, 65536):
        said += block
    os.close(reading)
    print(said.decode().replace("\\n", " "), flush=True)
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL")


def event_ids(path: Path) -> set[str]:
    raw = sqlite3.connect(path)
    try:
        return {row[0] for row in raw.execute("SELECT id FROM event")}
    finally:
        raw.close()


@posix
@pytest.mark.timeout(3000)
def test_every_acknowledged_answer_survives_a_kill(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, Any], None]
) -> None:
    kills = count(12, 1_000)
    chance = random.Random(8)
    acknowledged: set[str] = set()
    stores = []
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sitter:
        assert sitter.stdin
        assert sitter.stdout
        assert sitter.stdout.readline() == "ready\n"
        for number in range(kills):
            if number % 50 == 0:  # a store that grows for ever would measure something else
                store = a_store(tmp_path, a_task(40), f"{number}.db")
                person = store.enter("Ada").id
                stores.append(store.path)
                store.close()
            microseconds = chance.randrange(20_000, 450_000)
            sitter.stdin.write(f"{stores[-1]}|{person}|{microseconds}|k{number}\n")
            sitter.stdin.flush()
            said = set(sitter.stdout.readline().split())
            raw = sqlite3.connect(stores[-1])
            assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            there = {row[0] for row in raw.execute("SELECT id FROM event")}
            raw.close()
            assert said <= there, f"kill {number} at {microseconds} µs lost {len(said - there)}"
            acknowledged |= said
        sitter.stdin.close()
    for path in stores:
        with open_store(path) as store:
            assert store.check() == ()
            read_results(store)
    assert acknowledged
    report("preferences: kills", kills)
    report("preferences: acknowledged answers, none lost", len(acknowledged))


def answer_until_refused(session: Session, said: list[str]) -> None:
    while isinstance(shown := session.next_item(), Shown):
        said.append(session.submit(shown.item_id, tied(shown)).event_id)


@posix
def test_a_full_disk_loses_nothing_that_was_acknowledged_and_says_so(tmp_path: Path) -> None:
    store = a_store(tmp_path, a_task(60))
    session = store.session(store.enter("Ada").id)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    largest = max(path.stat().st_size for path in tmp_path.iterdir())
    said: list[str] = []
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 40_000, limit[1]))
        with pytest.raises(LabError) as refused:
            answer_until_refused(session, said)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert "untouched" in refused.value.remedy
    assert said
    store.close()
    with open_store(store.path) as again:
        assert set(said) <= event_ids(again.path)
        assert again.check() == ()
        shown = again.session(session.annotator).next_item()  # and it goes on
        assert isinstance(shown, Shown)
        again.session(session.annotator).submit(shown.item_id, tied(shown))


def test_a_read_only_file_is_read_and_refuses_to_be_written(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    session = store.session(store.enter("Ada").id)
    shown = session.next_item()
    assert isinstance(shown, Shown)
    session.submit(shown.item_id, tied(shown))
    store.close()
    os.chmod(store.path, 0o444)
    with open_store(store.path, read_only=True) as closed:
        assert len(read_results(closed).rankings) == 1
        with pytest.raises(LabError, match="reading only"):
            closed.enter("Bob")
        with pytest.raises(LabError, match="reading only"):
            closed.session(session.annotator).submit(shown.item_id, by_text(shown))
    os.chmod(store.path, 0o644)
    assert len(event_ids(store.path)) == 2


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    clock = Clock()
    store = a_store(tmp_path, now=clock)
    session = store.session(store.enter("Ada").id)
    seen = []
    for _ in range(4):
        shown = session.next_item()
        assert isinstance(shown, Shown)
        session.submit(shown.item_id, tied(shown))
        seen.append(shown.item_id)
        clock.at -= 86_400.0
    session.submit(seen[0], by_text(session.open_item(seen[0])))
    store.close()
    with open_store(store.path, now=clock) as again:
        other = again.session(session.annotator)
        assert other.progress().done == 4
        undone = other.undo()
        assert undone is not None
        assert (undone.item_id, undone.what) == (seen[0], "revise")
        undone = other.undo()
        assert undone is not None
        assert (undone.item_id, undone.what) == (seen[3], "submit")
        assert again.check() == ()


def test_two_windows_on_one_file_take_turns_and_see_each_other(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    person = store.enter("Ada").id
    with open_store(store.path) as other:
        one, two = store.session(person), other.session(person)
        shown = one.next_item()
        assert isinstance(shown, Shown)
        one.save_draft(shown.item_id, Draft({"rank": [2, 1]}))
        there = two.next_item()
        assert isinstance(there, Shown)
        assert (there.item_id, there.draft) == (shown.item_id, Draft({"rank": [2, 1]}))
        one.submit(shown.item_id, tied(shown))
        two.submit(shown.item_id, by_text(there))  # the second window knew nothing: it revises
        assert two.undo_what == "revise"
        assert one.undo() is not None
        after = two.open_item(shown.item_id)
        assert after.answer is not None
        assert len(after.answer.tiers) == 1
        assert len(event_ids(store.path)) == 4
        assert read_results(other).conflicts == ()
    store.close()


def test_a_store_that_another_program_locks_says_so_and_waits_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_store(tmp_path)
    person = store.enter("Ada").id
    store.close()
    monkeypatch.setattr("core.preferences.database.PATIENCE", 50)
    raw = sqlite3.connect(store.path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    with open_store(store.path) as again:
        began = time.monotonic()
        with pytest.raises(LabError, match="held by another program"):
            again.rename(person, "Ada Lovelace")
        assert time.monotonic() - began < 5
        raw.execute("ROLLBACK")
        again.rename(person, "Ada Lovelace")
        assert again.annotators()[0].name == "Ada Lovelace"
    raw.close()


def test_what_is_known_of_errors_of_a_disk_is_said_in_words() -> None:
    from core.preferences.database import explain

    for cause, word in (
        ("database or disk is full", "full"),
        ("attempt to write a readonly database", "read-only"),
        ("database disk image is malformed", "damaged"),
        ("disk I/O error", "disk"),
        ("unable to open database file", "opened"),
    ):
        said = explain(sqlite3.OperationalError(cause), "rankings.db")
        assert word in said.problem
        assert "rankings.db" in said.problem
