"""One person at a store: the exact place, undo over days, repeats, claims, and nothing saved that nobody
chose."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.preferences.answers import Answer, Draft, answer_of
from core.preferences.pace import pace_of, practice_passed, practice_result
from core.preferences.pairwise import Judged
from core.preferences.session import AllDone, Session, Shown, Waiting
from core.preferences.store import Store, open_store
from core.preferences.task import WORK
from core.problems import LabError
from tests.core.preferences.small_tasks import (
    Clock,
    a_gold_item,
    a_store,
    a_task,
    an_item,
    answer_all,
    by_text,
    ordered,
    tied,
)


def shown_by(session: Session) -> Shown:
    shown = session.next_item()
    assert isinstance(shown, Shown)
    return shown


def a_session(store: Store, name: str = "Ada") -> Session:
    return store.session(store.enter(name).id)


def again(session: Session) -> Session:
    """The same person after a restart."""
    store = session.store
    store.close()
    assert store.path is not None
    return open_store(store.path, now=store.now).session(session.annotator)


def test_a_restart_resumes_at_the_exact_place_with_what_was_begun(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    session.submit(shown_by(session).item_id, tied(shown_by(session)))
    shown = shown_by(session)
    session.save_draft(shown.item_id, Draft({"ranks": {"a": 1}, "scroll": 40}))
    session = again(session)
    assert shown_by(session) == session.resume()
    assert (shown_by(session).item_id, shown_by(session).draft) == (
        shown.item_id, Draft({"ranks": {"a": 1}, "scroll": 40}),
    )  # fmt: skip
    assert [output.id for output in shown_by(session).outputs] == [output.id for output in shown.outputs]
    session.submit(shown.item_id, tied(shown))
    assert shown_by(again(session)).item_id != shown.item_id


def test_a_revision_that_was_begun_is_where_the_next_start_is(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    first = shown_by(session)
    session.submit(first.item_id, tied(first))
    session.open_item(first.item_id)
    session.save_draft(first.item_id, Draft({"half": True}))
    session = again(session)
    resumed = session.resume()
    assert resumed is not None
    assert (resumed.item_id, resumed.draft) == (first.item_id, Draft({"half": True}))
    assert shown_by(session).item_id != first.item_id


def test_what_is_shown_tells_neither_model_nor_gold(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path, a_task(2, extra=[a_gold_item(1), a_gold_item(2)])))
    for _ in range(4):
        shown = shown_by(session)
        assert shown.kind == WORK
        assert "model" not in repr(shown)
        session.submit(shown.item_id, tied(shown))
    assert isinstance(session.next_item(), AllDone)


def test_an_order_that_nobody_touched_is_no_answer_until_somebody_says_so(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    shown = shown_by(session)
    ids = [output.id for output in shown.outputs]
    as_it_stands = Answer(tuple((id,) for id in ids))
    with pytest.raises(LabError, match="as they were shown"):
        session.submit(shown.item_id, as_it_stands)
    session.submit(shown.item_id, ordered(ids))
    answer = session.open_item(shown.item_id).answer
    assert answer is not None
    assert answer.as_shown


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tiers": ()}, "no rank yet"),
        ({"tiers": (("x",), ("b",), ("c",), ("d",))}, "not there"),
        ({"tiers": (("a", "a"), ("b",), ("c",), ("d",))}, "twice"),
        ({"tiers": (("a",), (), ("b",), ("c", "d"))}, "no output"),
        ({"unranked": ("d",), "tiers": (("b",), ("a",), ("c",))}, "3 outputs are ranked; 4"),
        ({"ratings": {"a": 8}}, "rating"),
        ({"ratings": {"a": True}}, "rating"),
        ({"flags": {"a": ("boring",)}}, "flag 'boring'"),
        ({"comment": "x" * 30_000}, "30,000"),
        ({"comment": "\0"}, "zero"),
        ({"mode": "guess"}, "mode"),
        ({"active_ms": -1}, "below zero"),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    store = a_store(tmp_path)
    session = a_session(store)
    shown = shown_by(session)
    name = dict(zip("abcd", sorted(output.id for output in shown.outputs), strict=True))
    values: dict[str, object] = {"tiers": (("b",), ("a",), ("c", "d"))} | change

    def real(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(real(one) for one in value)
        if isinstance(value, dict):
            return {name.get(key, key): one for key, one in value.items()}
        return name.get(value, value) if isinstance(value, str) else value

    answer = Answer(
        **{
            key: real(value) if key in ("tiers", "unranked", "ratings", "flags") else value
            for key, value in values.items()
        }
    )  # type: ignore[arg-type]
    before = store.mark()
    with pytest.raises(LabError, match=problem):
        session.submit(shown.item_id, answer)
    assert store.mark() == before


def test_everything_an_answer_says_comes_back(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path, a_task(ranking="best", best=2, ratings=True)))
    shown = shown_by(session)
    a, b, c, d = (output.id for output in shown.outputs)
    answer = Answer(
        ((c,), (a,)), (b, d), True, False, "pairs", {c: ("wrong", "harmful"), "": ("off topic",)}, {c: 7, b: 1},
        "Robert'); DROP TABLE event;-- \u202e 🙂", (Judged(c, a, "left"), Judged(b, d, "both_bad")), 12_345, 99_999,
    )  # fmt: skip
    session.submit(shown.item_id, answer)
    assert again(session).open_item(shown.item_id).answer == answer


def test_undo_and_redo_go_over_submitted_items_and_over_a_restart(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    shown = [shown_by(session)]
    session.submit(shown[0].item_id, by_text(shown[0]))
    shown.append(shown_by(session))
    session.skip(shown[1].item_id, "cannot judge")
    session.flag(shown[1].item_id, ["off topic"])
    session.submit(shown[0].item_id, tied(shown[0]))
    session = again(session)
    undone = [session.undo() for _ in range(5)]
    assert [(one.what, one.item_id) for one in undone if one] == [
        ("revise", shown[0].item_id), ("flag", shown[1].item_id), ("skip", shown[1].item_id),
        ("submit", shown[0].item_id),
    ]  # fmt: skip
    assert undone[4] is None
    assert undone[3] is not None
    assert answer_of(undone[3].values) == by_text(shown[0])
    assert shown_by(session).item_id == shown[0].item_id
    session = again(session)
    assert [session.redo_what] + [one.what for _ in range(4) if (one := session.redo())] == [
        "submit", "submit", "skip", "flag", "revise",
    ]  # fmt: skip
    assert session.redo() is None
    assert session.open_item(shown[0].item_id).answer == tied(shown[0])
    assert session.progress().done == session.progress().skipped == 1


def test_a_new_answer_after_an_undo_forgets_what_could_be_redone(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    first = shown_by(session)
    session.submit(first.item_id, tied(first))
    session.undo()
    session.submit(first.item_id, by_text(first))
    assert not session.can_redo
    assert session.undo_what == "submit"


def test_sending_the_same_answer_twice_counts_once(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    session, other = a_session(store), a_session(store, "Bob")
    shown = shown_by(session)
    first = session.submit(shown.item_id, tied(shown), client_id="click-1")
    before = store.mark()
    assert session.submit(shown.item_id, by_text(shown), client_id="click-1") == first
    assert store.mark() == before
    with pytest.raises(LabError, match="somebody else"):
        other.submit(shown.item_id, tied(shown), client_id="click-1")


def test_random_walks_of_undo_and_redo_end_where_a_list_of_states_says(tmp_path: Path) -> None:
    chance = random.Random(5)
    store = a_store(tmp_path, a_task(5))
    session = a_session(store)
    ids = [line.id for line in store.lines(0, 5)]
    state: dict[str, str] = {}
    past: list[dict[str, str]] = []
    future: list[dict[str, str]] = []
    for step in range(120):
        deed = chance.choice(["submit", "submit", "skip", "undo", "undo", "redo", "restart"])
        id = chance.choice(ids)
        if deed in ("submit", "skip"):
            past.append(dict(state))
            future.clear()
            state[id] = f"{deed} {step}"
            if deed == "submit":
                answer = Answer(
                    (tuple(output.id for output in session.open_item(id).outputs),), comment=f"submit {step}"
                )
                session.submit(id, answer)
            else:
                session.skip(id, f"skip {step}")
        elif deed == "undo":
            assert (session.undo() is not None) == bool(past)
            if past:
                future.append(dict(state))
                state = past.pop()
        elif deed == "redo":
            assert (session.redo() is not None) == bool(future)
            if future:
                past.append(dict(state))
                state = future.pop()
        else:
            session = again(session)
        shown = {id: session.shown(id) for id in ids}
        seen = {id: one.skipped or (one.answer.comment if one.answer else "") for id, one in shown.items()}
        assert {id: text for id, text in seen.items() if text} == state
    assert session.store.check() == ()


def test_items_for_two_people_are_given_to_two_and_never_twice_to_one(tmp_path: Path) -> None:
    store = a_store(tmp_path, a_task(9, extra=[a_gold_item(1)], overlap=2))
    people = [a_session(store, name) for name in "abc"]
    given: dict[str, list[str]] = {}
    waiting = list(people)
    while waiting:
        for person in list(waiting):
            shown = person.next_item()
            if isinstance(shown, AllDone):
                waiting.remove(person)
            else:
                assert isinstance(shown, Shown)
                given.setdefault(shown.item_id, []).append(person.annotator)
                person.submit(shown.item_id, tied(shown))
    assert all(len(set(names)) == len(names) for names in given.values())
    assert sorted(len(names) for names in given.values()) == [2] * 9 + [3]  # gold is everyone's


def test_nothing_to_give_because_others_hold_it_reads_differently_from_all_done(tmp_path: Path) -> None:
    clock = Clock()
    store = a_store(tmp_path, a_task(1, overlap=1), now=clock)
    one, two = a_session(store, "a"), a_session(store, "b")
    held = shown_by(one)
    waiting = two.next_item()
    assert isinstance(waiting, Waiting)
    assert waiting.until == clock.at + 1800
    clock.at = waiting.until + 1
    assert shown_by(two).item_id == held.item_id  # the lease ran out
    two.submit(held.item_id, tied(held))
    one.submit(held.item_id, tied(held))  # and the late answer is kept all the same
    assert one.progress().done == two.progress().done == 1
    assert isinstance(one.next_item(), AllDone)
    assert isinstance(two.next_item(), AllDone)


def test_a_skipped_item_goes_to_somebody_else(tmp_path: Path) -> None:
    store = a_store(tmp_path, a_task(1, overlap=1))
    one, two = a_session(store, "a"), a_session(store, "b")
    shown = shown_by(one)
    one.skip(shown.item_id, "not my field")
    assert isinstance(one.next_item(), AllDone)
    assert shown_by(two).item_id == shown.item_id


def test_repeats_come_at_the_end_or_a_day_later_in_another_order(tmp_path: Path) -> None:
    clock = Clock()
    session = a_session(a_store(tmp_path, a_task(14, repeats=50), now=clock))
    orders = {}
    for _ in range(13):
        shown = shown_by(session)
        orders[shown.item_id] = [output.id for output in shown.outputs]
        assert shown.attempt == 0
        session.submit(shown.item_id, tied(shown))
    clock.at += 86_400
    repeat = shown_by(session)
    assert repeat.attempt == 1
    assert sorted(orders[repeat.item_id]) == sorted(output.id for output in repeat.outputs)
    session.submit(repeat.item_id, tied(repeat), attempt=1)
    answer_all(session)
    assert session.progress().left == 0
    assert 1 <= sum(done.attempt for done in session.recent()) <= 14


def test_a_person_can_opt_out_of_a_category_and_in_again(tmp_path: Path) -> None:
    task = a_task(2, extra=[an_item(7, category="war"), an_item(8, category="war")])
    session = a_session(a_store(tmp_path, task))
    assert session.progress().total == 4
    session.opt_out("war")
    assert session.progress().total == 2
    assert answer_all(session) == 2
    session = again(session)
    assert session.opted_out() == {"war"}
    session.opt_in("war")
    assert answer_all(session) == 2


def test_consent_and_withdrawal_are_remembered(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    assert not session.agreed
    session.agree("We record times. Your teacher sees your answers.")
    assert again(session).agreed
    session = again(session)
    session.withdraw()
    assert not session.agreed


def test_practice_comes_first_and_its_key_is_shown_only_after_the_own_answer(tmp_path: Path) -> None:
    practice = an_item(50, 3, kind="practice", key=[[0], [1], [2]])
    session = a_session(a_store(tmp_path, a_task(2, extra=[practice], practice_mark=60)))
    shown = shown_by(session)
    assert shown.kind == "practice"
    assert session.key_of(shown.item_id) is None
    assert not practice_passed(session)
    a, b, c = practice.key
    session.submit(shown.item_id, ordered([*a, *c, *b]))
    result = practice_result(session, shown.item_id)
    assert result is not None
    assert (result.right, result.pairs, result.key) == (2, 3, practice.key)
    assert practice_passed(session)
    assert session.key_of(shown_by(session).item_id) is None


def test_pace_is_that_of_the_last_answers(tmp_path: Path) -> None:
    session = a_session(a_store(tmp_path))
    assert pace_of(session).n == 0
    answer_all(session)
    assert (pace_of(session).items_per_hour, pace_of(session).median_active_ms) == (180, 20_000)
