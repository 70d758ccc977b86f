"""The objectives: numbers by hand, what must not change them, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.model.initial import new_model
from core.model.transformer import Transformer
from core.training.answers import Pairs, of_comparisons, of_demonstrations, pair_losses, read
from core.training.finetune_settings import FinetuneSettings
from core.training.lessons import added
from core.training.objectives import dpo, ipo, sums, token_logs
from core.training.pieces import Piece, Two, padded
from core.training.settings import ShapeSettings

SETTINGS = {
    "dpo": FinetuneSettings("dpo", beta=0.3),
    "dpo and chosen": FinetuneSettings("dpo", beta=0.3, nll=0.5),
    "conservative": FinetuneSettings("dpo", smoothing=0.2),
    "robust": FinetuneSettings("dpo", smoothing=0.2, robust=True),
    "ipo of means": FinetuneSettings("ipo", beta=0.2),
    "ipo of sums": FinetuneSettings("ipo", beta=0.2, ipo_lengths="sums", smoothing=0.1),
}
TWOS = tuple(
    Two(Piece((0, *prompt, *chosen), 1 + len(prompt)), Piece((0, *prompt, *rejected), 1 + len(prompt)))
    for prompt, chosen, rejected in (
        ((7, 8), (9, 10, 3), (11, 3)),
        ((12,), (1, 14, 15, 16, 3), (2, 18, 19, 3)),
        ((20, 4), (5, 3), (6, 8, 7, 3)),
        ((11,), (3,), (6, 7, 8, 9, 10, 3)),
    )
)


@pytest.fixture(scope="module")
def model() -> Transformer:
    config = ShapeSettings(layers=2, width=16, heads=2, context=16).config(23)
    made = new_model(config, torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)) * 0.1)
    return made


def part_of(twos: tuple[Two, ...], length: int = 0) -> Pairs:
    part = padded([*(two.chosen for two in twos), *(two.rejected for two in twos)], length=length)
    reference = [-2.0 - 0.3 * two.chosen.learned for two in twos]
    return Pairs(part, torch.tensor([*reference, *(-1.5 for _ in twos)], dtype=torch.float64))


def loss_of(
    model: Transformer, settings: FinetuneSettings, twos: tuple[Two, ...] = TWOS,
    of: tuple[Two, ...] = TWOS, length: int = 0,
) -> Tensor:  # fmt: skip
    part = part_of(twos, length)
    tokens = sum(two.chosen.learned for two in of)
    return of_comparisons(read(model, part.padded), part, settings, len(of), tokens)[0]


def gradients(model: Transformer, losses: list[Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_the_numbers_by_hand() -> None:
    """ln π of the better and the worse answer −10, −12; ln π_ref −11, −11.5; β 0.1: Δ = 1.5.

    −ln σ(0.15) = ln(1 + e^−0.15) = 0.6209570. IPO of sums: (1.5 − 5)² = 12.25; of means over 5 and 4 tokens:
    (1 / 5 + 0.5 / 4 − 5)² = 21.855625. dL/d ln π(better) = −β σ(−βΔ) = −0.0462570.
    """
    h = torch.tensor([1.0, -0.5], dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5, 4])
    expected = (
        (FinetuneSettings("dpo"), 0.6209570),
        (FinetuneSettings("dpo", smoothing=0.1), 0.6359570),
        (FinetuneSettings("dpo", smoothing=0.1, robust=True), 0.6022070),
        (FinetuneSettings("ipo", ipo_lengths="sums"), 12.25),
        (FinetuneSettings("ipo"), 21.855625),
    )
    for settings, number in expected:
        assert abs(float(pair_losses(h, lengths, settings).detach()) - number) < 1e-7
    pair_losses(h, lengths, FinetuneSettings("dpo")).sum().backward()  # type: ignore[no-untyped-call]
    assert h.grad is not None
    assert torch.allclose(h.grad, torch.tensor([-0.0462570, 0.0462570], dtype=torch.float64), atol=1e-7)


def test_a_model_that_is_its_reference_begins_at_ln_2(model: Transformer) -> None:
    part = part_of(TWOS)
    made = read(model, part.padded)
    same = Pairs(part.padded, sums(made.logs.detach(), part.padded.owners, 2 * len(TWOS)))
    loss, measures = of_comparisons(made, same, FinetuneSettings("dpo"), len(TWOS), 1)
    assert abs(float(loss.detach()) - math.log(2)) < 1e-12
    assert added([measures])["rewards/margins"] == 0
    assert added([measures])["rewards/accuracies"] == 0


@pytest.mark.parametrize("name", ["dpo", "conservative", "ipo of sums"])
def test_swapped_answers_have_the_loss_of_the_opposite_margin(name: str) -> None:
    settings = SETTINGS[name]
    h = torch.randn(8, dtype=torch.float64)
    lengths = torch.ones(8, dtype=torch.int64)
    swapped = torch.cat([h[4:], h[:4]])
    delta = h[:4] - h[4:]
    expected = (ipo if settings.method == "ipo" else dpo)(-delta, settings.beta, settings.smoothing)
    assert torch.allclose(pair_losses(swapped, lengths, settings), expected)


@pytest.mark.parametrize("name", SETTINGS)
def test_padding_changes_neither_loss_nor_gradient(model: Transformer, name: str) -> None:
    plain, longer = (loss_of(model, SETTINGS[name], length=length) for length in (0, 16))
    assert abs(float(plain.detach()) - float(longer.detach())) < 1e-12
    ours, theirs = gradients(model, [plain]), gradients(model, [longer])
    assert all((ours[each] - theirs[each]).abs().max() < 1e-12 for each in ours if each != "positions.weight")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("cut", [1, 3])
def test_a_batch_in_parts_has_the_loss_and_gradient_of_the_whole(
    model: Transformer, name: str, cut: int
) -> None:
    parts = [loss_of(model, SETTINGS[name], twos) for twos in (TWOS[:cut], TWOS[cut:])]
    whole = loss_of(model, SETTINGS[name])
    assert abs(float(whole.detach()) - sum(float(part.detach()) for part in parts)) < 1e-12
    ours, theirs = gradients(model, [whole]), gradients(model, parts)
    assert all((ours[each] - theirs[each]).abs().max() < 1e-12 for each in ours)


def test_demonstrations_in_parts_weigh_every_token_the_same(model: Transformer) -> None:
    pieces = [two.rejected for two in TWOS]
    tokens = sum(piece.learned for piece in pieces)
    whole, _ = of_demonstrations(read(model, padded(pieces)), tokens)
    parts = [of_demonstrations(read(model, padded(some)), tokens)[0] for some in (pieces[:1], pieces[1:])]
    assert abs(float(whole.detach()) - sum(float(part.detach()) for part in parts)) < 1e-12
    means = [
        of_demonstrations(read(model, padded(some)), sum(piece.learned for piece in some))[0].detach()
        for some in (pieces[:1], pieces[1:])
    ]
    assert abs(float(whole.detach()) - float(sum(means)) / 2) > 1e-4


def test_logits_at_the_prompt_have_no_gradient() -> None:
    pieces = padded([TWOS[0].chosen])
    logits = torch.randn(*pieces.learned.shape, 23, requires_grad=True)
    (-token_logs(logits[pieces.learned], pieces.targets).sum()).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    moved = logits.grad.abs().sum(-1) > 0
    assert torch.equal(moved, pieces.learned)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    name: lambda h, settings=settings: pair_losses(h, torch.tensor([3, 2, 4, 1]), settings)  # type: ignore[misc]
    for name, settings in SETTINGS.items()
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_small_differences(name: str) -> None:
    h = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LOSSES[name], (h,))


def test_gradients_of_whole_losses_with_respect_to_logits_are_those_of_small_differences() -> None:
    part = part_of(TWOS[:2])
    n = len(part.padded.targets)
    logits = torch.randn(n, 23, dtype=torch.float64, requires_grad=True)
    settings = SETTINGS["dpo and chosen"]

    def whole(logits: Tensor) -> Tensor:
        logs = token_logs(logits, part.padded.targets)
        h = sums(logs, part.padded.owners, 4) - part.reference
        lengths = part.padded.owners.bincount(minlength=4)
        chosen = logs[part.padded.owners < 2]
        return pair_losses(h, lengths, settings).mean() - settings.nll * chosen.mean()

    assert torch.autograd.gradcheck(whole, (logits,))
