"""The parts without a database: the fold of events, pairs, the clock of active time, copies that stay."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.preferences.active import ActiveTime
from core.preferences.backups import Backup, to_keep
from core.preferences.csv_safe import csv_rows, csv_text
from core.preferences.events import Event, fold
from core.preferences.pairs import Pair, pairs_of, put_together, strict_count
from core.preferences.pairwise import Judged, next_pair, tiers_of
from core.preferences.results import Ranking
from tests.core.preferences.small_tasks import Clock


def test_events_come_to_the_same_whatever_order_they_arrive_in() -> None:
    events = [
        Event("1", "a", 1, "enter"), Event("2", "a", 2, "submit", "i"), Event("3", "a", 3, "undo", "i", 0, "2"),
        Event("4", "a", 4, "redo", "i", 0, "2"), Event("5", "a", 5, "revise", "i", 0, "2"),
        Event("6", "a", 6, "skip", "j"),
    ]  # fmt: skip
    states = [fold(order) for order in itertools.islice(itertools.permutations(events), 0, 720, 13)]
    assert all(state == states[0] for state in states)
    active = states[0].active(("i", 0))
    assert active is not None
    assert active.id == "5"


def test_two_answers_that_did_not_know_of_each_other_are_both_kept_and_told() -> None:
    state = fold([Event("x", "a", 2, "submit", "i", time="1"), Event("y", "a", 2, "submit", "i", time="2")])
    assert state.conflicts == [("x", "y")]
    active = state.active(("i", 0))
    assert active is not None
    assert active.id == "y"


def test_undoing_twice_on_two_machines_undoes_once() -> None:
    state = fold(
        [Event("1", "a", 1, "submit", "i"), Event("2", "a", 2, "submit", "j"), Event("3", "a", 3, "undo", "j", 0, "2"),
         Event("4", "a", 3, "undo", "j", 0, "2")]
    )  # fmt: skip
    assert state.active(("i", 0)) is not None
    assert state.active(("j", 0)) is None


@given(st.permutations(list("abcdefghi")), st.lists(st.integers(0, 3), min_size=9, max_size=9))
def test_pairs_of_any_true_order_with_ties_are_found_by_comparing_two_at_a_time(
    order: list[str], tier: list[int]
) -> None:
    worth = dict(zip(order, tier, strict=True))
    judged: list[Judged] = []
    while pair := next_pair(order, judged):
        left, right = pair
        difference = worth[left] - worth[right]
        judged.append(Judged(left, right, "tie" if not difference else "left" if difference > 0 else "right"))
    assert len(judged) <= 25  # 9 log₂ 9 is 29
    tiers = tiers_of(order, judged)
    assert [{worth[id] for id in tier} for tier in tiers] == [
        {value} for value in sorted(set(tier), reverse=True)
    ]


@given(st.lists(st.integers(0, 4), min_size=2, max_size=9))
def test_a_ranking_has_as_many_strict_pairs_as_the_formula_says(ranks: list[int]) -> None:
    tiers = tuple(tuple(f"o{n}" for n, one in enumerate(ranks) if one == rank) for rank in sorted(set(ranks)))
    ranking = Ranking("a", "i", tiers)
    pairs = pairs_of(ranking)
    assert len(pairs) == strict_count([len(tier) for tier in tiers])
    assert sum(pair.weight for pair in pairs) == pytest.approx(1 if pairs else 0)
    place = ranking.ranks()
    assert all(place[pair.chosen] < place[pair.rejected] for pair in pairs)
    with_ties = pairs_of(ranking, ties=True)
    assert len(with_ties) == len(ranks) * (len(ranks) - 1) // 2
    assert sum(pair.tie for pair in with_ties) == len(with_ties) - len(pairs)


def test_the_choices_of_pairs_take_what_they_say() -> None:
    ranking = Ranking("a", "i", (("b",), ("a", "c"), ("d",)), ("e", "f"), event_id="1")
    assert len(pairs_of(ranking)) == 5 + 8
    assert [(p.chosen, p.rejected) for p in pairs_of(ranking, "best-worst")] == [("b", "e"), ("b", "f")]
    assert len(pairs_of(ranking, "adjacent")) == 2 + 2 + 2
    assert [p.chosen for p in pairs_of(ranking, "best-random")] == ["b"]
    assert pairs_of(Ranking("a", "i", (("a", "b"),))) == ()


def test_a_majority_makes_one_pair_and_an_even_vote_none() -> None:
    votes = [Pair("i", "a", "b", name, 1.0) for name in "xyz"] + [Pair("i", "b", "a", "w", 1.0)]
    assert [(p.chosen, p.votes, p.against) for p in put_together(votes)] == [("a", 3, 1)]
    assert put_together(votes, at_least=4) == ()
    assert put_together(votes[2:]) == ()
    assert put_together(votes[2:], ties=True)[0].tie


def test_time_counts_only_with_the_window_in_front_and_a_hand_on_the_keys() -> None:
    clock = Clock(0.0)
    time = ActiveTime(clock)
    time.start()
    clock.at = 30
    time.touch()
    clock.at = 300  # four and a half minutes of nothing: one of them counts
    assert time.active_ms == 90_000
    time.touch()
    time.focus(False)
    clock.at = 400
    assert time.active_ms == 90_000
    time.focus(True)
    clock.at = 410
    assert (time.active_ms, time.wall_ms) == (100_000, 410_000)
    clock.at = 100  # the clock jumped back
    assert time.active_ms >= 90_000


def test_a_pause_is_due_after_twenty_five_minutes_of_work() -> None:
    clock = Clock(0.0)
    time = ActiveTime(clock)
    for minute in range(1, 26):
        assert not time.pause_due()
        clock.at = 60.0 * minute
        time.touch()
    assert time.pause_due()
    time.paused()
    assert not time.pause_due()
    clock.at += 24 * 60
    time.touch()  # away for 24 minutes: that was a pause
    assert not time.pause_due()


def test_old_copies_are_thinned_to_days_weeks_and_months() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    copies = [Backup(Path(f"{n}.db"), start + timedelta(hours=8 * n), n) for n in range(3 * 329)]
    today = date(2026, 11, 25)
    kept = to_keep(copies, today)
    days = sorted(copies[int(path.stem)].made.date() for path in kept)
    assert sum(day >= today - timedelta(days=1) for day in days) == 6
    assert 20 <= len(kept) <= 6 + 12 + 10 + 9
    assert days[0] <= date(2026, 3, 31)


@given(
    st.lists(
        st.lists(st.text(alphabet="=+-@'\"\t\r\n,;aé🙂 ", max_size=6), min_size=2, max_size=3), max_size=5
    )
)
def test_every_table_comes_back_as_it_was_and_no_cell_is_a_formula(rows: list[list[str]]) -> None:
    text = csv_text(rows)
    assert csv_rows(text) == rows
    import csv
    import io

    for row in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.lstrip(" ").startswith(("=", "+", "-", "@")) for cell in row)


def test_ten_thousand_random_tables_come_back_byte_for_byte(count: object) -> None:
    chance = random.Random(3)
    for _ in range(count(200, 10_000)):  # type: ignore[operator]
        rows = [["".join(chance.choices("=+-@'\"\t\r\n,;aé🙂 ", k=4)) for _ in range(3)] for _ in range(3)]
        assert csv_text(csv_rows(csv_text(rows))) == csv_text(rows)
