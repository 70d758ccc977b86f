"""One pair of tokens in one head, along the formula: every number between the embedding and the output.

    head = softmax(Q Kᵀ / √d + M) V        what the layer adds = Concat(head₁, …, head_H) W_O

Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762, section 3.2. The vectors are
those of the model as it is; leaving a step out changes only what comes after them (`work_row`), or the whole
model (`leave_out`).

T tokens, W width, H heads, d head width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.interpret.inside import Inside
from core.model.edits import Edits
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress

Numbers = npt.NDArray[np.float32]
LEAVE_OUT_AT_MOST = 1024  # tokens for which the whole model is run with a step left out


@dataclass(frozen=True, eq=False)
class Projected:
    """How a query, a key or a value is made: `made` = `weight` · `read` + `bias`.

    Attributes:
        read: What attention reads of the token, the normed residual stream, shape (W,).
        weight: The rows of this head, shape (d, W).
        bias: Shape (d,), or None.
        made: Shape (d,); normed where the model norms queries and keys.
    """

    read: Numbers
    weight: Numbers
    bias: Numbers | None
    made: Numbers


@dataclass(frozen=True, eq=False)
class Walk:
    """The numbers of one pair: `row` looks at `column`.

    Attributes:
        layer: Which layer.
        head: Which head.
        row: The token that looks.
        column: The token that is looked at.
        query: Of the row's token.
        key: Of the column's token.
        value: Of the column's token.
        normed: Whether the model norms queries and keys.
        turned: Whether the model turns them by their places (RoPE).
        turned_query: The query that is multiplied, shape (d,).
        turned_key: The key, alike.
        products: q · k of the row's token with every token, shape (T,).
        values: Of all tokens, shape (T, d).
        heads: The weighted sums of all heads at the row's token, shape (H, d).
        out: W_O, shape (W, H d).
        bias: That of W_O, shape (W,), or None.
    """

    layer: int
    head: int
    row: int
    column: int
    query: Projected
    key: Projected
    value: Projected
    normed: bool
    turned: bool
    turned_query: Numbers
    turned_key: Numbers
    products: Numbers
    values: Numbers
    heads: Numbers
    out: Numbers
    bias: Numbers | None

    @property
    def d(self) -> int:
        """How many numbers a query has."""
        return len(self.turned_query)

    @property
    def terms(self) -> Numbers:
        """The products whose sum is q · k, shape (d,)."""
        return self.turned_query * self.turned_key

    def added(self, head: int | None = None) -> Numbers:
        """What the layer's attention adds at the row's token, or one head's part of it, shape (W,)."""
        if head is not None:
            part: Numbers = self.out[:, head * self.d : (head + 1) * self.d] @ self.heads[head]
            return part
        whole: Numbers = self.out @ self.heads.ravel()
        return whole if self.bias is None else whole + self.bias


@dataclass(frozen=True, eq=False)
class RowWorked:
    """What becomes of one token's products, each shape (T,), the last (d,).

    Attributes:
        scores: Divided, or not.
        masked: −∞ where the token may not look; 0 there without a softmax.
        weights: What the values are weighed by.
        output: Their sum.
    """

    scores: Numbers
    masked: Numbers
    weights: Numbers
    output: Numbers


def walk(inside: Inside, layer: int, head: int, row: int, column: int) -> Walk:
    """All numbers of one pair."""
    model, block = inside.model, inside.model.block(layer)
    config, attn = model.config, block.attn
    group = head // (config.heads // config.kv_heads)
    vectors = inside.head(layer, head)
    with torch.inference_mode():
        read = block.norm_1(inside.stream(layer))[0]  # (T, W)
        rows = torch.split(attn.qkv.weight, list(config.qkv_rows))  # (H d, W), (K d, W), (K d, W)
        added = attn.qkv.bias
        biases = (None,) * 3 if added is None else torch.split(added, list(config.qkv_rows))
        products = vectors.turned_key @ vectors.turned_query[row]  # (T,)
        heads = inside.z(layer, row)  # (H, d)

    def projected(part: int, of: int, token: int, made: Tensor) -> Projected:
        piece = slice(of * config.head_width, (of + 1) * config.head_width)
        bias = biases[part]
        return Projected(
            _plain(read[token]),
            _plain(rows[part][piece]),
            None if bias is None else _plain(bias[piece]),
            _plain(made[token]),
        )

    return Walk(
        layer=layer,
        head=head,
        row=row,
        column=column,
        query=projected(0, head, row, vectors.query),
        key=projected(1, group, column, vectors.key),
        value=projected(2, group, column, vectors.value),
        normed=config.qk_norm,
        turned=config.positions == "rope",
        turned_query=_plain(vectors.turned_query[row]),
        turned_key=_plain(vectors.turned_key[column]),
        products=_plain(products),
        values=_plain(vectors.value),
        heads=_plain(heads),
        out=_plain(attn.out.weight),
        bias=None if attn.out.bias is None else _plain(attn.out.bias),
    )


def _plain(tensor: Tensor) -> Numbers:
    made: Numbers = tensor.detach().to(torch.float32).numpy()
    return made


def work_row(walked: Walk, scaling: bool = True, mask: bool = True, softmax: bool = True) -> RowWorked:
    """What becomes of the products of the row's token; a step that is not taken is left out."""
    scores = walked.products / np.float32(math.sqrt(walked.d)) if scaling else walked.products
    later = np.arange(len(scores)) > walked.row
    hidden = later if mask else np.zeros_like(later)
    masked = np.where(hidden, np.float32(-np.inf if softmax else 0.0), scores)
    weights = masked
    if softmax:
        raised = np.exp(masked - masked.max())
        weights = raised / raised.sum()
    return RowWorked(scores, masked, weights, weights @ walked.values)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """The next token of a text with steps left out in every layer.

    Attributes:
        before: Log-probabilities as the model is, nats, shape (V,).
        after: The same without the steps; None where a number grew beyond all bounds on the way.
    """

    before: Tensor
    after: Tensor | None


def leave_out(
    model: Transformer, ids: Sequence[int], scaling: bool, mask: bool, softmax: bool
) -> Iterator[Progress | Finished[LeftOut]]:
    """Read a text as the model is, and with steps left out in every head of every layer.

    Raises:
        LabError: The text is empty or too long.
    """
    if not ids:
        raise LabError("There is no text to read.", "Type at least one character.")
    if len(ids) > LEAVE_OUT_AT_MOST:
        raise LabError(
            f"Leaving a step out needs every weight of {len(ids):,} tokens at once.",
            f"Take a text of at most {LEAVE_OUT_AT_MOST:,} tokens.",
        )
    allowed = None if mask else torch.ones(len(ids), len(ids), dtype=torch.bool)
    return _leave_out(model, ids, Edits(allowed=allowed, scaling=scaling, softmax=softmax))


def _leave_out(
    model: Transformer, ids: Sequence[int], edits: Edits
) -> Iterator[Progress | Finished[LeftOut]]:
    text = torch.tensor([list(ids)])
    with torch.inference_mode():
        before = model(text, last=1)[0, 0].log_softmax(-1)
    yield Progress("Reading the text", 1, 2, "passes")
    with torch.inference_mode():
        after = model(text, last=1, edits=edits)[0, 0].log_softmax(-1)
    finite = bool(after.isfinite().all())
    yield Finished("Read twice.", LeftOut(before, after if finite else None))
