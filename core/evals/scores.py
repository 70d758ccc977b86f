"""How surprised a model is by a text: the one place where perplexity is computed.

The perplexity of a text is exp of the mean surprise, −ln p, of its tokens, each given those before it. It
says "as if the model chose among so many tokens". Models with different tokenizers cut a text into different
tokens, so that their perplexities cannot be compared; bits per byte can, since the bytes are the same.

A text longer than a window is read in windows that overlap: a token is scored once, in the window in which
the most of what stands before it is read (https://huggingface.co/docs/transformers/perplexity).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.cache import KVCache
from core.model.transformer import Transformer
from core.problems import LabError
from core.settings import check, setting
from core.stages import Finished, Progress

ALTERNATIVES = 5  # of the most probable tokens that come with each scored one
_AT_ONCE = 128  # tokens read between two events: 25 MB of logits at a vocabulary of 49,152


@dataclass(frozen=True)
class ScoreSettings:
    """How a long text is cut into windows."""

    window: int = setting(
        1024,
        title="Window",
        help="So many tokens are read together; at most the model's context.",
        unit="tokens",
        more_means="every token has more before it, which takes longer",
        low=2,
        high=1_000_000,
    )
    overlap: float = setting(
        0.5,
        title="Overlap",
        help="The share of a window that is read again for the next one, so that its tokens have a past.",
        more_means="fewer tokens with little before them, more time",
        low=0.0,
        high=0.9,
    )


@dataclass(frozen=True, eq=False)
class Surprises:
    """The scored tokens of a piece of the text.

    Attributes:
        begin: Position of the first one.
        nats: −ln p of each, float32, shape (n,).
        ranks: How many tokens were more probable, int64, shape (n,).
        best: The most probable tokens in its place, ids, shape (n, k), k at most `ALTERNATIVES`.
        best_probabilities: Theirs, shape (n, k).
    """

    begin: int
    nats: Tensor
    ranks: Tensor
    best: Tensor
    best_probabilities: Tensor


@dataclass(frozen=True)
class Score:
    """A text's score under a model.

    Attributes:
        tokens: How many were scored: all but the first, which has nothing before it.
        nats: Their surprise together.
        bytes: How many bytes the scored tokens stand for.
        windows: In how many windows the text was read.
        window: Tokens of a window.
    """

    tokens: int
    nats: float
    bytes: int
    windows: int
    window: int

    @property
    def loss(self) -> float:
        """Mean surprise of a token in nats: the cross-entropy that training lowers."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the mean surprise; infinite where that is too large to say.

        >>> round(Score(tokens=2, nats=2 * math.log(8), bytes=4, windows=1, window=9).perplexity, 9)
        8.0
        """
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Surprise of a byte in bits; may be compared across tokenizers.

        >>> Score(tokens=2, nats=2 * math.log(8), bytes=4, windows=1, window=9).bits_per_byte
        1.5
        """
        return self.nats / math.log(2) / self.bytes


def score_tokens(
    model: Transformer,
    ids: Sequence[int],
    sizes: Sequence[int],
    settings: ScoreSettings | None = None,
) -> Iterator[Progress | Surprises | Finished[Score]]:
    """Score a text, token by token; pieces come in the order of the text.

    Args:
        model: Which model.
        ids: The text.
        sizes: Bytes of each token.
        settings: Checked here; None for the usual ones.

    Raises:
        LabError: The text has fewer than two tokens, or a setting is outside its limits.
    """
    settings = settings or ScoreSettings()
    check(settings)
    if len(ids) < 2:
        raise LabError(
            f"The text has {len(ids)} token{'s' * (len(ids) != 1)}.",
            "Give at least two: the first one has nothing before it to be foreseen from.",
        )
    return _score(model, tuple(ids), sum(sizes[1:]), settings)


def _score(
    model: Transformer, ids: tuple[int, ...], size: int, settings: ScoreSettings
) -> Iterator[Progress | Surprises | Finished[Score]]:
    window = min(settings.window, model.config.context)
    nats, windows, scored = 0.0, 0, 1  # tokens before `scored` are done
    while scored < len(ids):
        begin = 0 if windows == 0 else scored - max(1, int(window * settings.overlap))
        end = min(begin + window, len(ids))
        windows += 1
        cache = KVCache(model.config)
        for at in range(begin, end - 1, _AT_ONCE):  # the last token of a window is only foreseen
            read = ids[at : min(at + _AT_ONCE, end - 1)]
            first = max(scored, at + 1)  # the first token that this piece foresees and nobody has yet
            with torch.inference_mode():
                stream = model.read(torch.tensor([read]), cache=cache)[:, first - 1 - at :]  # (1, n, W)
                if stream.shape[1]:
                    piece = _surprises(model.head(stream)[0], ids[first : first + stream.shape[1]], first)
                else:
                    piece = None
            if piece is None:
                yield Progress("Reading what stands before", scored, len(ids), "tokens")
                continue
            nats += float(piece.nats.double().sum())
            scored = first + len(piece.nats)
            yield piece
            yield Progress("Scoring the text", scored, len(ids), "tokens")
    tokens = len(ids) - 1
    yield Finished(f"{tokens:,} tokens are scored.", Score(tokens, nats, size, windows, window))


def _surprises(logits: Tensor, ids: Sequence[int], begin: int) -> Surprises:
    """Of logits, (n, V), and the tokens that came, n."""
    came = torch.tensor(ids)[:, None]  # (n, 1)
    logs = logits.log_softmax(-1)
    own = logs.gather(1, came)  # (n, 1)
    best = logs.topk(min(ALTERNATIVES, logs.shape[1]))
    return Surprises(begin, -own[:, 0], (logs > own).sum(1), best.indices, best.values.exp())
