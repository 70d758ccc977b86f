"""Small tasks, stores with answers, and a clock of one's own, for the tests of preferences."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from core.preferences.answers import Answer
from core.preferences.session import Session, Shown
from core.preferences.store import Store, create_store
from core.preferences.task import Item, Maker, Task, TaskSettings, make_item, make_task


def an_item(number: int, outputs: int = 4, **more: object) -> Item:
    made = [(f"Output {k} of {number}.", Maker(f"model {k}")) for k in range(outputs)]
    return make_item(f"Question {number}?", made, **more)  # type: ignore[arg-type]


def a_gold_item(number: int) -> Item:
    texts = [(f"Good {number}.", Maker()), (f"Bad {number}.", Maker())]
    return make_item(f"Gold {number}?", texts, kind="gold", key=[[0], [1]])


def a_task(items: int = 6, outputs: int = 4, extra: Sequence[Item] = (), **settings: object) -> Task:
    made = [an_item(number, outputs) for number in range(items)]
    return make_task("Small", [*made, *extra], "Be *kind*.", TaskSettings(**settings))  # type: ignore[arg-type]


def a_store(folder: Path, task: Task | None = None, name: str = "rankings.db", **more: object) -> Store:
    return create_store(folder / name, task or a_task(), **more)  # type: ignore[arg-type]


def tied(shown: Shown) -> Answer:
    """An answer that says nothing but that everything is equally good."""
    return Answer((tuple(output.id for output in shown.outputs),), active_ms=20_000)


def ordered(ids: Sequence[str], **more: object) -> Answer:
    return Answer(tuple((id,) for id in ids), as_shown=True, **more)  # type: ignore[arg-type]


def by_text(shown: Shown) -> Answer:
    """The order of the outputs' texts, whatever order they are shown in."""
    return ordered([output.id for output in sorted(shown.outputs, key=lambda one: one.text)])


def answer_all(
    session: Session, chance: random.Random | None = None, noise: float = 0.0, most: int = 10_000
) -> int:
    """Answer until nothing is left; the outputs' own order, blurred by `noise`."""
    count = 0
    while count < most and isinstance(shown := session.next_item(), Shown):
        place = {output.id: number for number, output in enumerate(session.store.item(shown.item_id).outputs)}
        ids = sorted(place, key=lambda id: place[id] + (chance.gauss(0, noise) if chance else 0))
        session.submit(shown.item_id, ordered(ids, active_ms=20_000), attempt=shown.attempt)
        count += 1
    return count


class Clock:
    """Seconds that a test moves."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at
