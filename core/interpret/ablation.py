"""Does it matter? Heads and MLPs are switched off, and what the model says is compared; beside random heads.

A change says little by itself: without any eight heads a model says something else. So every answer comes
with those of random sets of as many heads, from the same layers, and of as many other MLPs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.edits import Edits, Replaced
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress

KINDS = ("zero", "mean")
Head = tuple[int, int]
"""Layer and head, both from 0."""


@dataclass(frozen=True, eq=False)
class Effect:
    """What a change did to the next token, and to the text as a whole.

    Attributes:
        before: Log-probabilities of the next token, nats, shape (V,).
        after: The same with the change.
        loss_before: Mean of −log p of the text's tokens, nats per token; not a number for one token.
        loss_after: The same with the change.
    """

    before: Tensor
    after: Tensor
    loss_before: float
    loss_after: float

    def change_of(self, token: int) -> float:
        """How much the log-probability of a token rose, in nats."""
        return float(self.after[token] - self.before[token])

    @property
    def divergence(self) -> float:
        """KL divergence of what it says now from what it said, nats."""
        return float((self.before.exp() * (self.before - self.after)).sum())


@dataclass(frozen=True, eq=False)
class RandomBand:
    """What random sets of as many heads and MLPs did to one token, and in all.

    Attributes:
        changes: Change of the token's log-probability, nats, one for each set.
        divergences: KL divergences, nats.
    """

    changes: tuple[float, ...]
    divergences: tuple[float, ...]

    @property
    def span(self) -> tuple[float, float]:
        """From the smallest to the largest change."""
        return min(self.changes), max(self.changes)

    def outside(self, change: float) -> bool:
        """Whether a change is larger than that of any random set, in either direction."""
        low, high = self.span
        return change < low or change > high


@dataclass(frozen=True, eq=False)
class Ablated:
    """One set of heads and MLPs, switched off.

    Attributes:
        effect: Of the set.
        band: Of random sets of as many heads and MLPs; None where there are none to take.
    """

    effect: Effect
    band: RandomBand | None


def switched_off(
    model: Transformer,
    ids: Sequence[int],
    heads: Sequence[Head],
    mlps: Sequence[int] = (),
    kind: str = "zero",
) -> Edits:
    """The edits that switch heads and MLPs off.

    Args:
        model: The model.
        ids: The text; "mean" puts the mean over it in the place of what each part says.
        heads: Which heads.
        mlps: The layers whose MLPs go, too.
        kind: One of `KINDS`.

    Raises:
        LabError: There is no such head, layer or kind.
    """
    config = model.config
    for layer, head in heads:
        if not (0 <= layer < config.layers and 0 <= head < config.heads):
            raise LabError(
                f"There is no head {head} in layer {layer}.",
                f"Layers go from 0 to {config.layers - 1}, heads from 0 to {config.heads - 1}.",
            )
    if wrong := [layer for layer in mlps if not 0 <= layer < config.layers]:
        raise LabError(f"There is no layer {wrong[0]}.", f"Layers go from 0 to {config.layers - 1}.")
    if kind not in KINDS:
        raise LabError(f"Heads cannot be switched off by {kind!r}.", f"Choose one of: {', '.join(KINDS)}.")
    if kind == "zero":
        return Edits(dict.fromkeys(heads, Replaced()), dict.fromkeys(mlps, Replaced()))
    trace = Trace([f"blocks.{layer}.attn.z" for layer, _ in heads] + [f"blocks.{n}.mlp_out" for n in mlps])
    with torch.inference_mode():
        model.read(torch.tensor([list(ids)]), trace=trace)
        means = {at: Replaced(0.0, trace[f"blocks.{at[0]}.attn.z"][0, :, at[1]].mean(0)) for at in heads}
        mlp_means = {n: Replaced(0.0, trace[f"blocks.{n}.mlp_out"][0].mean(0)) for n in mlps}
    return Edits(means, mlp_means)


def ablate(
    model: Transformer,
    ids: Sequence[int],
    token: int | None,
    heads: Sequence[Head],
    mlps: Sequence[int] = (),
    kind: str = "zero",
    random_sets: int = 20,
    seed: int = 0,
) -> Iterator[Progress | Finished[Ablated]]:
    """Switch parts off and compare the next token, beside random sets of as many others.

    Args:
        model: The model.
        ids: The text.
        token: Whose probability the random sets are compared by; None takes the most probable one.
        heads: Which heads.
        mlps: The layers whose MLPs go, too; as many other ones go in each random set.
        kind: "zero" or "mean".
        random_sets: How many, at most: of one MLP there are as many as other layers.
        seed: Of the random sets.

    Raises:
        LabError: There is no such head, layer or kind, or the text is empty.
    """
    if not ids:
        raise LabError("There is no text to change anything in.", "Type at least one character.")
    edits = switched_off(model, ids, heads, mlps, kind)
    sets = _random_sets(model, heads, mlps, random_sets, seed)
    return _ablate(model, ids, token, edits, sets, kind)


def _ablate(
    model: Transformer,
    ids: Sequence[int],
    token: int | None,
    edits: Edits,
    sets: list[tuple[list[Head], list[int]]],
    kind: str,
) -> Iterator[Progress | Finished[Ablated]]:
    total = 2 + len(sets)
    before = _said(model, ids, None)
    yield Progress("Switching off", 1, total, "passes")
    effect = _compare(before, _said(model, ids, edits))
    yield Progress("Switching off", 2, total, "passes")
    about = int(effect.before.argmax()) if token is None else token
    changes, divergences = [], []
    for number, (heads, mlps) in enumerate(sets, start=3):
        random_effect = _compare(before, _said(model, ids, switched_off(model, ids, heads, mlps, kind)))
        changes.append(random_effect.change_of(about))
        divergences.append(random_effect.divergence)
        yield Progress("Random sets", number, total, "passes")
    band = RandomBand(tuple(changes), tuple(divergences)) if sets else None
    yield Finished(f"Compared with {len(sets):,} random sets.", Ablated(effect, band))


def _said(model: Transformer, ids: Sequence[int], edits: Edits | None) -> tuple[Tensor, float]:
    """Log-probabilities of the next token, and the loss of the text."""
    text = torch.tensor([list(ids)])
    with torch.inference_mode():
        stream = model.read(text) if edits is None else model.read(text, edits=edits)
        following = model.head(stream[:, -1:])[0, 0].log_softmax(-1)
        losses = [
            torch.nn.functional.cross_entropy(
                model.head(stream[:, begin : begin + 128])[0][: len(ids) - 1 - begin],
                text[0, begin + 1 : begin + 129],
                reduction="sum",
            )
            for begin in range(0, len(ids) - 1, 128)
        ]
    return following, float(sum(losses)) / (len(ids) - 1) if losses else float("nan")


def _compare(before: tuple[Tensor, float], after: tuple[Tensor, float]) -> Effect:
    return Effect(before[0], after[0], before[1], after[1])


def _random_sets(
    model: Transformer, heads: Sequence[Head], mlps: Sequence[int], count: int, seed: int
) -> list[tuple[list[Head], list[int]]]:
    """Sets of as many heads and MLPs, none of them in the set, each drawn without repetition.

    No set of MLPs comes twice where there are no heads beside them.
    """
    rng = random.Random(seed)
    wanted = set(mlps)
    others = [n for n in range(model.config.layers) if n not in wanted]
    if (not heads and not wanted) or len(others) < len(wanted):
        return []
    if not heads:
        count = min(count, math.comb(len(others), len(wanted)))
    sets: list[tuple[list[Head], list[int]]] = []
    while len(sets) < count:
        drawn = sorted(rng.sample(others, len(wanted)))
        if heads or ([], drawn) not in sets:
            sets.append((_random_heads(model, heads, rng), drawn))
    return sets


def _random_heads(model: Transformer, heads: Sequence[Head], rng: random.Random) -> list[Head]:
    """As many other heads of the same layers; of other layers where those have too few."""
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        by_layer.setdefault(layer, []).append(head)
    drawn: list[Head] = []
    for layer, chosen in by_layer.items():
        others = [h for h in range(model.config.heads) if h not in chosen]
        drawn += [(layer, h) for h in rng.sample(others, min(len(others), len(chosen)))]
    missing = len(set(heads)) - len(drawn)
    if missing:
        everything = [(n, h) for n in range(model.config.layers) for h in range(model.config.heads)]
        rest = [at for at in everything if at not in drawn and at not in heads]
        drawn += rng.sample(rest, min(missing, len(rest)))
    return drawn
