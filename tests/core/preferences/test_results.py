"""What is read out of a store: agreement, strengths and quality, with what is undefined said."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.preferences.agreement import Agreement, Measure, measure_agreement
from core.preferences.quality import measure_quality
from core.preferences.results import Results, read_results
from core.preferences.session import Shown
from core.preferences.strengths import Strengths, measure_strengths
from core.preferences.task import Maker, make_item, make_task
from core.problems import LabError
from core.stages import run_to_end
from tests.core.preferences.small_tasks import (
    a_gold_item,
    a_store,
    a_task,
    answer_all,
    by_text,
    ordered,
    tied,
)


def ranked_by(folder: Path, people: int, noise: float = 1.0, **settings: object) -> Results:
    with a_store(folder, a_task(12, extra=[a_gold_item(1)], **settings)) as store:
        for number in range(people):
            answer_all(store.session(store.enter(f"P{number}").id), random.Random(number), noise)
        return read_results(store)


def figures(agreement: Agreement) -> dict[str, Measure]:
    return {one.name: one for one in agreement.overall}


def test_people_who_agree_wholly_agree_wholly(tmp_path: Path) -> None:
    agreement = run_to_end(measure_agreement(ranked_by(tmp_path, 3, 0.0))).result
    assert {one.name: one.value for one in agreement.overall} == pytest.approx(
        {"percent": 1, "strict": 1, "tau": 1, "w": 1, "alpha": 1, "kappa": 1}
    )
    assert (agreement.items, agreement.people) == (12, 3)
    assert agreement.per_pair == {}
    assert "below 5" in agreement.no_pairs


def test_agreement_has_intervals_around_it_and_each_two_people_in_a_group_of_five(tmp_path: Path) -> None:
    agreement = run_to_end(measure_agreement(ranked_by(tmp_path, 5), samples=200)).result
    for one in agreement.overall:
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.value <= one.high
        assert one.means
    assert len(agreement.per_pair) == 10
    assert len(agreement.per_item) == 12
    mean = sum(m[0].value or 0 for m in agreement.per_item.values()) / 12
    assert figures(agreement)["percent"].value == pytest.approx(mean)


def test_what_is_undefined_is_said_and_is_not_zero(tmp_path: Path) -> None:
    alone = run_to_end(measure_agreement(ranked_by(tmp_path, 1))).result
    assert all(one.value is None and one.why for one in alone.overall)
    with a_store(tmp_path, name="tied.db") as store:
        for name in "ab":
            session = store.session(store.enter(name).id)
            while isinstance(shown := session.next_item(), Shown):
                session.submit(shown.item_id, tied(shown))
        found = figures(run_to_end(measure_agreement(read_results(store))).result)
    assert found["percent"].value == 1
    for name in ("strict", "tau", "w", "alpha", "kappa"):
        assert found[name].value is None, name
    assert "Only one relation" in found["alpha"].why


def test_the_order_of_people_and_of_outputs_changes_no_figure(tmp_path: Path) -> None:
    results = ranked_by(tmp_path, 4)
    turned = Results(**{**vars(results), "rankings": results.rankings[::-1]})
    one, other = (run_to_end(measure_agreement(some, samples=100)).result for some in (results, turned))
    assert [m.value for m in one.overall] == pytest.approx([m.value for m in other.overall])


def test_stronger_models_come_out_stronger_and_the_difference_is_real(tmp_path: Path) -> None:
    made = run_to_end(measure_strengths(ranked_by(tmp_path, 4, 1.5), samples=200)).result
    assert made.models == ("model 0", "model 1", "model 2", "model 3")
    for strengths in (made.bradley_terry, made.plackett_luce):
        values = [one.value for one in strengths]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(0, abs=1e-9)
        assert all(one.low < one.value < one.high for one in strengths)
    first_last = next(d for d in made.differences if (d.model, d.other) == ("model 0", "model 3"))
    assert first_last.real
    assert first_last.wins > 0.7
    assert [made.wins[0][3] + made.wins[3][0], made.games[0][3]] == [48, 48]
    assert made.cycles == ()


def test_a_model_that_never_lost_has_no_finite_strength(tmp_path: Path) -> None:
    made: Strengths = run_to_end(measure_strengths(ranked_by(tmp_path, 2, 0.0), samples=100)).result
    assert "no finite strengths" in made.why
    assert all(one.value is None for one in made.bradley_terry)
    assert made.models[0] == "model 0"


def test_models_that_go_round_in_a_circle_are_found(tmp_path: Path) -> None:
    order = {"0": "bca", "1": "cab", "2": "abc"}
    items = [make_item(f"{n}", [(f"{name} {n}", Maker(name)) for name in "abc"]) for n in range(3)]
    with a_store(tmp_path, make_task("Circle", items, "")) as store:
        for person in ("0", "1", "2"):
            session = store.session(store.enter(person).id)
            while isinstance(shown := session.next_item(), Shown):
                ids = {output.text[0]: output.id for output in shown.outputs}
                session.submit(shown.item_id, ordered([ids[name] for name in order[person]]))
        made = run_to_end(measure_strengths(read_results(store), samples=100)).result
    assert made.cycles == (("a", "b", "c"),)
    assert len(made.item_cycles) == 3
    assert not any(one.real for one in made.differences)


def test_strengths_need_two_models_that_are_named(tmp_path: Path) -> None:
    items = [make_item(f"{n}", [("x", Maker()), ("y", Maker())]) for n in range(3)]
    with a_store(tmp_path, make_task("Nameless", items, "")) as store:
        answer_all(store.session(store.enter("Ada").id))
        with pytest.raises(LabError, match="0 model"):
            measure_strengths(read_results(store))


def test_quality_counts_gold_repeats_places_and_time(tmp_path: Path) -> None:
    quality = measure_quality(ranked_by(tmp_path, 5, 0.0, repeats=50))
    assert (quality.gold.part, quality.gold.whole) == (5, 5)
    assert quality.repeats > 5
    assert quality.consistency == pytest.approx(1)
    assert sum(quality.position.wins) == 60
    assert quality.position.p is not None
    assert quality.position.p > 0.01
    assert quality.time.median_s == 20
    assert quality.time.hasty.part == 0
    assert quality.drift == pytest.approx([1.0] * 12)
    assert [share for _, share in quality.disagreement] == [1.0] * 12
    assert len(quality.people) == 5
    assert {person.gold.value for person in quality.people} == {1.0}
    (tmp_path / "four").mkdir()
    four = measure_quality(ranked_by(tmp_path / "four", 4))
    assert four.people == ()
    assert "from 5 people on" in four.no_people


def test_a_person_who_withdrew_is_left_out_and_one_who_was_joined_counts_once(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        people = [store.enter(name).id for name in ("Ada", "Bob", "Ada again")]
        for id in people:
            answer_all(store.session(id))
        store.session(people[1]).withdraw()
        store.join(people[2], people[0])
        results = read_results(store)
    assert results.withdrawn == 1
    assert {one.annotator for one in results.rankings} == {people[0]}
    assert len(results.rankings) == 6
    assert len(results.conflicts) == 6  # answered by both halves of one person
    assert [person.id for person in results.people] == [people[0]]


def test_what_was_undone_or_skipped_is_no_ranking(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        session = store.session(store.enter("Ada").id)
        for _ in range(2):
            shown = session.next_item()
            assert isinstance(shown, Shown)
            session.submit(shown.item_id, by_text(shown))
        session.undo()
        shown = session.next_item()
        assert isinstance(shown, Shown)
        session.skip(shown.item_id, "cannot judge", "no idea")
        results = read_results(store)
    assert len(results.rankings) == 1
    assert [(skip.reason, skip.comment) for skip in results.skips] == [("cannot judge", "no idea")]
