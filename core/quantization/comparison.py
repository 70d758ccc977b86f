"""What is lost: models against a reference on the same text, as llama.cpp's llama-perplexity measures it.

The text is cut into windows without overlap; of each, the second half is scored, so that every scored token
has half a window before it. Perplexity counts how surprised a model is by the text. The divergence

    KL = Σ over v of P(v) · (ln P(v) − ln Q(v))

counts how far its predictions Q lie from the reference's P, whatever the text says, and is much the sharper
measure. As there, tokens with ln P(v) ≤ −16 are left out of the sum. Δp is by how much the probability of the
token that came differs. Errors are standard errors of means. Logits of at most 128 tokens are in memory.

These perplexities compare models with one tokenizer and one window; those of `core/evals/scores.py`, where
windows overlap, are lower.

Letters: T tokens of a window; n scored ones; V vocabulary; P, Q as above.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.model.config import check_fits
from core.model.transformer import Transformer
from core.problems import LabError
from core.settings import check, setting
from core.stages import Finished, Progress

LEFT_OUT = -16.0  # nats: the tail of P that llama.cpp leaves out of the divergence
_AT_ONCE = 128  # tokens whose logits are in memory together, for two models


@dataclass(frozen=True)
class CompareSettings:
    """How a text is cut into windows."""

    window: int = setting(
        512, title="Window", help="So many tokens are read together; the second half is scored.",
        unit="tokens", more_means="every token has more before it, which takes longer", low=4, high=1_000_000,
    )  # fmt: skip
    most: int = setting(
        0, title="Windows at most", help="So many windows are read; 0 for the whole text.", unit="windows",
        more_means="smaller errors, more time", low=0, high=1_000_000,
    )  # fmt: skip


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Figures:
    """A model against the reference.

    Attributes:
        name: The model.
        tokens: Scored tokens.
        perplexity: exp of the mean surprise, with its error.
        reference: The reference's.
        ratio: ln of one over the other; its error knows that both read the same text.
        divergence: Mean KL divergence in nats.
        median: Half of the tokens have a smaller one.
        most_999: 99.9 % have.
        largest: The largest.
        difference: Mean Δp.
        rms: Root mean square of Δp.
        same_top: Share of places where both have the same first choice.
        tokens_per_second: Tokens read a second, here and now.
    """

    name: str
    tokens: int
    perplexity: Mean
    reference: Mean
    ratio: Mean
    divergence: Mean
    median: float
    most_999: float
    largest: float
    difference: Mean
    rms: Mean
    same_top: Mean
    tokens_per_second: float


@dataclass(frozen=True, eq=False)
class Totals:
    """What was measured of one model so far, one number for each scored token.

    Attributes:
        name: The model.
        surprise: −ln Q of the token that came, float64, (n).
        reference: −ln P of it, (n).
        divergence: KL, (n).
        difference: Δp, (n).
        same: Whether the first choices agree, bool, (n).
        read: Tokens that were read.
        seconds: That took.
    """

    name: str
    surprise: Tensor
    reference: Tensor
    divergence: Tensor
    difference: Tensor
    same: Tensor
    read: int = 0
    seconds: float = 0.0

    def figures(self) -> Figures:
        """The means, with their errors."""
        q, p, kl, dp = self.surprise, self.reference, self.divergence, self.difference
        n = len(q)
        mean_q, mean_p = _mean(q), _mean(p)
        together = float(((q - q.mean()) * (p - p.mean())).mean()) / max(1, n - 1)
        variance = mean_q.error**2 + mean_p.error**2 - 2 * together
        squares = _mean(dp.square())
        root = math.sqrt(squares.value)
        share = float(self.same.double().mean())
        ordered = kl.sort().values
        return Figures(
            name=self.name,
            tokens=n,
            perplexity=_exp(mean_q),
            reference=_exp(mean_p),
            ratio=Mean(mean_q.value - mean_p.value, math.sqrt(max(0.0, variance))),
            divergence=_mean(kl),
            median=_quantile(ordered, 0.5),
            most_999=_quantile(ordered, 0.999),
            largest=float(ordered[-1]),
            difference=_mean(dp),
            rms=Mean(root, 0.5 / root * squares.error if root else 0.0),
            same_top=Mean(share, math.sqrt(share * (1 - share) / max(1, n - 1))),
            tokens_per_second=self.read / self.seconds if self.seconds else 0.0,
        )


@dataclass(frozen=True)
class WindowCompared:
    """A window was read by all models.

    Attributes:
        window: How many are done.
        windows: How many there are.
        totals: Of each model; may be given to `compare` to go on from here.
    """

    window: int
    windows: int
    totals: tuple[Totals, ...]


def compare(
    reference: Transformer,
    others: Sequence[tuple[str, Transformer]],
    ids: Sequence[int],
    settings: CompareSettings | None = None,
    begin: int | None = None,
    so_far: WindowCompared | None = None,
) -> Iterator[Progress | WindowCompared | Finished[tuple[Figures, ...]]]:
    """Compare models with a reference, window by window.

    Args:
        reference: In full precision.
        others: Names and models, of the same vocabulary.
        ids: The text; a rest that fills no window is left out.
        settings: None for the usual ones.
        begin: Id of the token that each window begins with in place of its first, for models whose texts do.
        so_far: Where an earlier comparison of the same things was stopped.

    Raises:
        LabError: The text does not fill a window, a window is longer than a model looks back, the
            vocabularies differ, or what was done so far is of other models.
    """
    settings = settings or CompareSettings()
    check(settings)
    for name, model in (("The reference", reference), *others):
        check_fits(model.config, settings.window)
        if model.config.vocab_size != reference.config.vocab_size:
            raise LabError(
                f"{name} has {model.config.vocab_size:,} tokens, the reference "
                f"{reference.config.vocab_size:,}.",
                "Only models with the same tokenizer can be compared this way.",
            )
    windows = len(ids) // settings.window
    windows = min(windows, settings.most) if settings.most else windows
    if windows == 0:
        raise LabError(
            f"The text has {len(ids):,} tokens and fills no window of {settings.window:,}.",
            "Choose a longer text or a smaller window.",
        )
    if so_far is not None and [t.name for t in so_far.totals] != [name for name, _ in others]:
        raise LabError("What was measured so far is of other models.", "Begin the comparison anew.")
    return _compare(reference, tuple(others), tuple(ids), settings.window, windows, begin, so_far)


def _compare(
    reference: Transformer,
    others: tuple[tuple[str, Transformer], ...],
    ids: tuple[int, ...],
    window: int,
    windows: int,
    first: int | None,
    so_far: WindowCompared | None,
) -> Iterator[Progress | WindowCompared | Finished[tuple[Figures, ...]]]:
    totals = list(so_far.totals) if so_far else [_nothing(name) for name, _ in others]
    for number in range(so_far.window if so_far else 0, windows):
        read = torch.tensor([ids[number * window : (number + 1) * window]])  # (1, T)
        came = read[0, window // 2 + 1 :].clone()  # (n)
        if first is not None:
            read[0, 0] = first
        yield Progress("Reading with the reference", number, windows, "windows")
        true, _ = _stream(reference, read)
        for place, (name, model) in enumerate(others):
            yield Progress(f"Reading with {name}", number, windows, "windows")
            stream, seconds = _stream(model, read)
            pieces = []
            for begin in range(0, len(came), _AT_ONCE):
                here = slice(begin, begin + _AT_ONCE)
                pieces.append(_measure(reference, model, true[:, here], stream[:, here], came[here]))
                yield Progress(f"Comparing {name}", number, windows, "windows")
            totals[place] = _added(totals[place], pieces, window, seconds)
        yield WindowCompared(number + 1, windows, tuple(totals))
    scored = sum(len(t.surprise) for t in totals[:1])
    yield Finished(f"{scored:,} tokens are compared.", tuple(t.figures() for t in totals))


def _stream(model: Transformer, read: Tensor) -> tuple[Tensor, float]:
    """The residual stream before the tokens of the second half but the first, (1, n, W); seconds."""
    began = time.perf_counter()
    with torch.inference_mode():
        stream = model.read(read)[:, read.shape[1] // 2 : -1]
    return stream, time.perf_counter() - began


_Measured = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _measure(
    reference: Transformer, model: Transformer, true: Tensor, stream: Tensor, came: Tensor
) -> _Measured:
    """Surprises of both, divergence, Δp and agreement for some places."""
    with torch.inference_mode():
        p = reference.head(true)[0].log_softmax(-1)  # (n, V)
        q = model.head(stream)[0].log_softmax(-1)  # (n, V)
        terms = p.exp().mul_(p - q).masked_fill_(p <= LEFT_OUT, 0.0)
        own_p, own_q = (x.gather(1, came[:, None])[:, 0].double() for x in (p, q))
        same = p.argmax(-1) == q.argmax(-1)
        kl = terms.sum(-1, dtype=torch.float64)
        return -own_q, -own_p, kl, own_q.exp() - own_p.exp(), same


def _nothing(name: str) -> Totals:
    empty = torch.empty(0, dtype=torch.float64)
    return Totals(name, empty, empty, empty, empty, torch.empty(0, dtype=torch.bool))


def _added(totals: Totals, pieces: list[_Measured], read: int, seconds: float) -> Totals:
    q, p, kl, dp, same = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return replace(
        totals,
        surprise=torch.cat((totals.surprise, q)),
        reference=torch.cat((totals.reference, p)),
        divergence=torch.cat((totals.divergence, kl)),
        difference=torch.cat((totals.difference, dp)),
        same=torch.cat((totals.same, same)),
        read=totals.read + read,
        seconds=totals.seconds + seconds,
    )


def _mean(values: Tensor) -> Mean:
    """Mean and standard error, √((mean x² − (mean x)²) / (n − 1)), as llama.cpp has it."""
    mean = float(values.mean())
    spread = float((values - mean).square().mean()) / max(1, len(values) - 1)
    return Mean(mean, math.sqrt(spread))


def _exp(mean: Mean) -> Mean:
    """exp of a mean surprise; infinite where that is too large to say."""
    value = math.exp(mean.value) if mean.value < 700 else math.inf
    return Mean(value, value * mean.error)


def _quantile(ordered: Tensor, share: float) -> float:
    """The value below which a share of the values lies, between two of them in proportion.

    >>> _quantile(torch.tensor([0.0, 1.0, 2.0, 3.0]), 0.5)
    1.5
    """
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))
