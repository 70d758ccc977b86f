"""Who descends from whom: ancestors in order, and the chain that the lineage bar shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core.artifacts.artifact import Artifact

CHAIN = ("corpus", "tokenizer", "base", "sft", "preferences", "aligned", "quantized")
MOST_ANCESTORS = 10_000


def ancestors(id: str, find: Callable[[str], Artifact]) -> list[Artifact]:
    """The artifact `id` and all it descends from, parents before children; a circle is cut.

    Args:
        find: Gives the artifact of an id, or a stub.
    """
    order: list[Artifact] = []
    done: set[str] = set()
    waiting: list[tuple[str, Artifact | None]] = [(id, None)]
    while waiting:
        one, ready = waiting.pop()
        if ready is not None:
            order.append(ready)
        elif one not in done and len(done) < MOST_ANCESTORS:
            done.add(one)
            artifact = find(one)
            waiting.append((one, artifact))
            waiting += [(parent, None) for parent in reversed(artifact.parents) if parent not in done]
    return order


def chain_of(id: str, line: list[Artifact]) -> dict[str, Artifact]:
    """Which artifact of `line` stands for each of `CHAIN` on the way to `id`.

    The tokenizer is the base model's, the corpus the one that base or tokenizer were made of, so that the
    texts of a later fine-tuning do not take its place; of several, the nearest counts.
    """
    by_id = {one.id: one for one in line}
    chain: dict[str, Artifact] = {}
    for link in reversed(CHAIN):
        anchors = {"tokenizer": ("base",), "corpus": ("base", "tokenizer")}.get(link, ())
        starts = [chain[anchor].id for anchor in anchors if anchor in chain] + [id]
        nearest = (one for start in starts for one in _nearest_first(by_id, start) if _link(one) == link)
        if found := next(nearest, None):
            chain[link] = found
    return {link: chain[link] for link in CHAIN if link in chain}


def _link(artifact: Artifact) -> str:
    """Which of `CHAIN` an artifact can stand for, or another word."""
    return artifact.role if artifact.kind in ("model", "adapter") else artifact.kind


def _nearest_first(line: dict[str, Artifact], start: str) -> Iterator[Artifact]:
    """The ancestors of `start` within `line`: itself, then its parents, then theirs."""
    level, seen = [start], {start}
    while level:
        yield from (line[id] for id in level if id in line)
        above = [parent for id in level if id in line for parent in line[id].parents]
        level = [id for id in dict.fromkeys(above) if id not in seen]
        seen.update(level)
