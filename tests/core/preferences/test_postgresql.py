"""The same store on a real PostgreSQL server that the test starts, kills and starts again."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.preferences.answers import Draft
from core.preferences.database import ServerLost
from core.preferences.erasing import erase_on_server
from core.preferences.hand_in import event_rows
from core.preferences.outbox import Outbox
from core.preferences.results import read_results
from core.preferences.roles import grant_annotators
from core.preferences.session import AllDone, Shown, Waiting
from core.preferences.store import create_store, open_store
from core.problems import LabError
from tests.core.preferences.servers import Server, why_not
from tests.core.preferences.small_tasks import a_gold_item, a_task, answer_all, by_text, tied

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a server"),
    # A test's own way of making a database says "connection reset" when the server is killed under it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    server.sql(f"CREATE DATABASE {name}")
    return server.url(database=name)


def test_the_same_session_runs_on_a_server(url: str) -> None:
    with create_store(url, a_task(4, extra=[a_gold_item(1)])) as store:
        session = store.session(store.enter("Ada").id)
        shown = session.next_item()
        assert isinstance(shown, Shown)
        session.save_draft(shown.item_id, Draft({"half": 1}))
        with open_store(url) as again:
            resumed = again.session(session.annotator).next_item()
            assert isinstance(resumed, Shown)
            assert (resumed.item_id, resumed.draft) == (shown.item_id, Draft({"half": 1}))
        first = session.submit(shown.item_id, by_text(shown), client_id="one")
        assert session.submit(shown.item_id, tied(shown), client_id="one") == first
        assert session.undo() is not None
        assert session.redo() is not None
        assert answer_all(session) == 4
        assert isinstance(session.next_item(), AllDone)
        assert len(read_results(store).rankings) == 5
        assert store.check() == ()
        assert [line.prompt_start for line in store.lines(0, 9, "QUESTION 2")] == ["Question 2?"]
        with pytest.raises(LabError):
            create_store(url, a_task(1))


@pytest.mark.parametrize(
    "statement", ["UPDATE event SET type='x'", "DELETE FROM item", "TRUNCATE task CASCADE"]
)
def test_the_server_itself_refuses_to_change_what_was_saved(url: str, statement: str) -> None:
    with create_store(url, a_task(2)) as store:
        store.enter("Ada")
        with pytest.raises(LabError, match="refused to change"), store.writing() as connection:
            connection.execute(text(statement))


def test_the_role_of_annotators_works_but_owns_nothing_and_the_owner_can_erase(
    server: Server, url: str
) -> None:
    server.sql("CREATE ROLE pupil LOGIN")
    with create_store(url, a_task(3, overlap=2)) as store:
        grant_annotators(store, "pupil")
        with open_store(url.replace("owner@", "pupil@")) as theirs:
            person, other = theirs.enter("Zyxqv"), theirs.enter("Bob")
            answer_all(theirs.session(person.id))
            answer_all(theirs.session(other.id))
            for statement in (
                "ALTER TABLE event DISABLE TRIGGER event_kept",
                "DELETE FROM event",
                "DROP TABLE event",
            ):
                with pytest.raises(LabError), theirs.writing() as connection:
                    connection.execute(text(statement))
            with pytest.raises(LabError):
                erase_on_server(theirs, person.id)
        gone = erase_on_server(store, person.id)
        assert (gone.events, gone.kept) == (4, 4)
        assert [one.name for one in store.annotators()] == ["Bob"]
        assert {one.annotator for one in read_results(store).rankings} == {other.id}
        with pytest.raises(LabError, match="refused"), store.writing() as connection:
            connection.execute(text("DELETE FROM event"))  # the guard is back


def test_an_answer_given_while_the_server_is_away_is_kept_and_sent_once(
    server: Server, url: str, tmp_path: Path
) -> None:
    with create_store(url, a_task(4, overlap=1)) as store, Outbox(tmp_path / "outbox.db") as outbox:
        session = store.session(store.enter("Ada").id, outbox)
        shown = session.next_item()
        assert isinstance(shown, Shown)
        server.kill()
        saved = session.submit(shown.item_id, by_text(shown), client_id="kept")
        assert (saved.where, session.waiting) == ("outbox", 1)
        assert session.submit(shown.item_id, tied(shown), client_id="more").where == "outbox"
        assert session.undo_what == "revise"
        with pytest.raises(ServerLost):
            session.next_item()
        server.start()
        following = session.next_item()
        assert isinstance(following, Shown)
        assert following.item_id != shown.item_id
        assert session.waiting == 0
        assert [event.type for event, _ in session.payloads()] == ["submit", "revise"]
        outbox.keep(
            store.name, next(row for row in event_rows(store) if row.id == "kept")
        )  # an acknowledgment was lost
        assert session.flush() == 1
        assert len(read_results(store).rankings) == 1
        assert store.check() == ()


WORKER = """
import json, random, sys, time
from core.preferences.answers import Answer
from core.preferences.database import ServerLost
from core.preferences.outbox import Outbox
from core.preferences.session import AllDone, Shown, Waiting
from core.preferences.store import open_store
from core.problems import LabError

url, box, person, think = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
chance = random.Random(person)
store = session = None
waits, said, lost = [], [], 0
outbox = Outbox(box)
while True:
    try:
        if session is None:
            store = open_store(url)
            session = store.session(person, outbox)
        began = time.perf_counter()
        shown = session.next_item()
        waits.append(time.perf_counter() - began)
    except ServerLost:
        lost += 1
        time.sleep(0.2)
        continue
    if isinstance(shown, AllDone):
        break
    if isinstance(shown, Waiting):
        waits.pop()
        time.sleep(0.1)
        continue
    time.sleep(chance.uniform(0, 2 * think))
    ids = [output.id for output in shown.outputs]
    chance.shuffle(ids)
    saved = session.submit(shown.item_id, Answer(tuple((id,) for id in ids), as_shown=True))
    said.append([shown.item_id, saved.event_id, saved.where])
print(json.dumps({"person": person, "waits": waits, "said": said, "lost": lost}))
"""


@pytest.mark.timeout(1200)
def test_a_class_on_one_server_that_is_killed_in_mid_work_loses_and_doubles_nothing(
    server: Server,
    url: str,
    tmp_path: Path,
    count: Callable[[int, int], int],
    report: Callable[[str, Any], None],
) -> None:
    people, items, overlap = count(4, 30), count(40, 3_000), 3
    think = count(0, 500) / 1000
    with create_store(url, a_task(items, overlap=overlap)) as store:
        ids = [store.enter(f"P{number}").id for number in range(people)]
        began = time.monotonic()
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, url, str(tmp_path / f"{id}.db"), id, str(think)],
                cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            for id in ids
        ]  # fmt: skip
        try:
            for share in [0.3] if people == 4 else [0.2, 0.5, 0.8]:
                while store.mark() < share * items * overlap:
                    time.sleep(0.05)
                server.kill()
                server.start()
                store.engine.dispose()
            reports = [json.loads(worker.communicate(timeout=1000)[0]) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        seconds = time.monotonic() - began
        given: dict[str, list[str]] = defaultdict(list)
        results = read_results(store)
        for one in results.rankings:
            given[one.item_id].append(one.annotator)
        assert store.check() == ()
        assert results.conflicts == ()
        there = {one.event_id for one in results.rankings}
    acknowledged = [said for one in reports for said in one["said"]]
    assert len({event for _, event, _ in acknowledged}) == len(acknowledged)
    assert {event for _, event, _ in acknowledged} <= there, "an acknowledged answer is lost"
    once = Counter((one["person"], item) for one in reports for item, _, _ in one["said"])
    assert max(once.values()) == 1, "an item was given twice to the same person"
    assert len(given) == items
    assert {len(names) for names in given.values()} == {overlap}
    assert all(len(set(names)) == overlap for names in given.values())
    waits = [wait for one in reports for wait in one["waits"]]
    median = 1000 * statistics.median(waits)
    report(f"preferences: PostgreSQL, {people} people, {items:,} items: claim, median [ms]", round(median, 1))
    report(
        "preferences: PostgreSQL: claim, 95 % within [ms]",
        round(1000 * statistics.quantiles(waits, n=20)[-1], 1),
    )
    report("preferences: PostgreSQL: answers, all there once", len(acknowledged))
    report(
        "preferences: PostgreSQL: of them through the outbox",
        sum(where == "outbox" for *_, where in acknowledged),
    )
    report("preferences: PostgreSQL: seconds", round(seconds, 1))
    assert median <= count(
        500, 50
    )  # without time to think between answers, people wait for the machine's cores


def test_nothing_free_reads_differently_from_all_done_on_a_server(url: str) -> None:
    with create_store(url, a_task(1, overlap=1)) as store:
        one, two = (store.session(store.enter(name).id) for name in "ab")
        assert isinstance(one.next_item(), Shown)
        assert isinstance(two.next_item(), Waiting)
