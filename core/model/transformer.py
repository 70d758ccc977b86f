"""One decoder for all families: blocks of attention and MLP around a residual stream, between two tables.

What differs between GPT-2, Llama and Qwen3 are fields of `ModelConfig`. Weights come from `loading.py`;
what is recorded, and the meaning of every name, stands in `trace.py`. Nothing here is written to during a
pass: caches, positions and edits are arguments, so any number of passes may share one model.

B texts, T tokens, S tokens looked at, W width, H heads, K key/value heads, d head width, F numbers inside an
MLP, V vocabulary.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.cache import KVCache
from core.model.causal import causal_attention, worth_keeping
from core.model.config import ModelConfig
from core.model.edits import NONE, Edits
from core.model.rope import Rope, rope_table, turn
from core.model.trace import NOTHING, Trace

_AT_ONCE = 1024  # tokens in an MLP together: at 8,192 its hidden numbers would take 100 MB and more


class Linear(nn.Linear):
    """torch's, with nothing in it until weights are loaded or made.

    WORKAROUND: random numbers in a parameter without memory (device "meta") make torch import its compiler,
    1.2 s and a folder in the temporary directory; a release that does not retires the two empty methods.
    """

    def reset_parameters(self) -> None:
        """Nothing."""


class Embedding(nn.Embedding):
    """Alike."""

    def reset_parameters(self) -> None:
        """Nothing."""


class Transformer(nn.Module):
    """The whole model, without weights until they are loaded (`loading.py`) or made (`initial.py`)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width)
        if config.positions == "learned":
            self.positions = Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config, n) for n in range(config.layers))
        self.norm = make_norm(config)
        head = None if config.tied else Linear(config.width, config.vocab_size, bias=False)
        self.unembed: nn.Module | None = head  # in its place a fast model has a packed table (`fast.py`)

    def forward(
        self,
        ids: Tensor,
        *,
        cache: KVCache | None = None,
        explicit: bool = False,
        last: int | None = None,
        trace: Trace = NOTHING,
        edits: Edits = NONE,
    ) -> Tensor:
        """Logits for the token after each of `ids`.

        Args:
            ids: Token ids, int64, shape (B, T).
            cache: Tokens that were read before, whose keys and values are kept; these are added. B is 1 then.
            explicit: Whether attention is computed step by step as on paper; else by torch's fused kernel.
                Each is the same with and without a trace; the two agree to about 1e-5.
            last: Logits for the last so many tokens only; None for all.
            trace: Records what it wants.
            edits: What is changed on the way.

        Returns:
            Logits, float32, shape (B, T or last, V).
        """
        x = self.read(ids, cache=cache, explicit=explicit, trace=trace, edits=edits)  # (B, T, W)
        return self.head(x if last is None else x[:, -last:], trace)

    def read(
        self,
        ids: Tensor,
        *,
        cache: KVCache | None = None,
        explicit: bool = False,
        trace: Trace = NOTHING,
        edits: Edits = NONE,
    ) -> Tensor:
        """The residual stream after the last block, shape (B, T, W); arguments as in `forward`."""
        explicit = explicit or not (edits.scaling and edits.softmax)
        begin = cache.length if cache else 0
        end = begin + ids.shape[1]
        x = self.embed_at(ids, begin, trace)  # (B, T, W)
        rope = self.rope(begin, end)
        if cache:
            cache.make_room(ids.shape[1])
        for block in self.blocks:
            x = block(x, rope, cache, explicit, trace, edits)
        if cache:
            cache.length = end
        return x

    def block(self, n: int) -> Block:
        """One block."""
        return cast("Block", self.blocks[n])

    def embed_at(self, ids: Tensor, begin: int = 0, trace: Trace = NOTHING) -> Tensor:
        """The residual stream before the first block, (B, T, W); the first token stands at `begin`."""
        x: Tensor = self.embed(ids)
        trace.record("embed", x)
        if self.config.positions == "learned":
            places = self.positions.weight[begin : begin + ids.shape[1]]  # (T, W)
            trace.record("pos_embed", places.expand_as(x))
            x = x + places
        return x

    def rope(self, begin: int, end: int) -> Rope | None:
        """The turns of the places from `begin` to `end`; None where positions are learned."""
        return rope_table(self.config, begin, end) if self.config.positions == "rope" else None

    @property
    def unembedding(self) -> Tensor:
        """The table that gives logits, (V, W): a row for each token."""
        return self.embed.weight if self.unembed is None else cast(Tensor, self.unembed.weight)

    def head(self, x: Tensor, trace: Trace = NOTHING) -> Tensor:
        """Logits, (B, T, V), of a residual stream, (B, T, W)."""
        x = self.norm(x)
        trace.record("ln_final.normalized", x)
        logits: Tensor = F.linear(x, self.embed.weight) if self.unembed is None else self.unembed(x)
        trace.record("logits", logits)
        return logits


class Block(nn.Module):
    """Attention, then an MLP; each reads the normed residual stream and adds to it."""

    def __init__(self, config: ModelConfig, n: int) -> None:
        super().__init__()
        self.n = n
        self.norm_1 = make_norm(config)
        self.attn = Attention(config, n)
        self.norm_2 = make_norm(config)
        self.mlp = MLP(config, n)

    def forward(
        self,
        x: Tensor,
        rope: Rope | None,
        cache: KVCache | None = None,
        explicit: bool = False,
        trace: Trace = NOTHING,
        edits: Edits = NONE,
    ) -> Tensor:
        """The residual stream, (B, T, W), after this block."""
        at = f"blocks.{self.n}"
        trace.record(f"{at}.resid_pre", x)
        normed = self.norm_1(x)
        trace.record(f"{at}.ln1.normalized", normed)
        added = self.attn(normed, rope, cache, explicit, trace, edits)
        trace.record(f"{at}.attn_out", added)
        x = x + added
        trace.record(f"{at}.resid_mid", x)
        normed = self.norm_2(x)
        trace.record(f"{at}.ln2.normalized", normed)
        added = edits.of_mlp(self.n, self.mlp(normed, trace))
        trace.record(f"{at}.mlp_out", added)
        x = x + added
        trace.record(f"{at}.resid_post", x)
        return x

    def read_long(self, x: Tensor, rope: Rope | None, step: int = 64) -> Tensor:
        """The same as the fused path to about 1e-5, in a fraction of the memory; nothing is recorded.

        Args:
            x: The residual stream, (B, T, W).
            rope: Of all places.
            step: Tokens that go through the block together.
        """
        k, v = self.keys_and_values(x, rope)
        made = torch.empty_like(x)
        for begin in range(0, x.shape[1], step):
            part = x[:, begin : begin + step]
            end = begin + part.shape[1]
            q = self.queries(part, rope, begin)
            z = _fused(q, k[:, :, :end], v[:, :, :end], NONE)  # (B, H, step, d)
            part = part + self.attn.out(z.transpose(1, 2).flatten(2))
            torch.add(part, self.mlp(self.norm_2(part)), out=made[:, begin:end])
        return made

    def queries(self, part: Tensor, rope: Rope | None, begin: int) -> Tensor:
        """Turned queries, (B, H, n, d), of some tokens of the stream, (B, n, W), the first at `begin`."""
        q = self.attn.queries(self.norm_1(part))
        return q if rope is None else turn(q, _places(rope, begin, begin + part.shape[1]))

    def keys_and_values(self, x: Tensor, rope: Rope | None) -> tuple[Tensor, Tensor]:
        """Turned keys, and values, each (B, K, T, d), of a residual stream, (B, T, W); made in pieces."""
        config = self.attn.config
        shape = (x.shape[0], config.kv_heads, x.shape[1], config.head_width)
        keys, values = x.new_empty(shape), x.new_empty(shape)
        for begin in range(0, x.shape[1], _AT_ONCE):
            here = slice(begin, min(begin + _AT_ONCE, x.shape[1]))
            k, v = self.attn.keys_and_values(self.norm_1(x[:, here]))
            keys[:, :, here] = k if rope is None else turn(k, _places(rope, here.start, here.stop))
            values[:, :, here] = v
        return keys, values


class Attention(nn.Module):
    """Every token gathers values from the tokens before it, as much as its query fits their keys."""

    def __init__(self, config: ModelConfig, n: int) -> None:
        super().__init__()
        self.config = config
        self.n = n
        self.qkv = Linear(config.width, sum(config.qkv_rows), bias=config.attention_bias)
        if config.qk_norm:
            self.q_norm = nn.RMSNorm(config.head_width, eps=config.norm_eps)
            self.k_norm = nn.RMSNorm(config.head_width, eps=config.norm_eps)
        self.out = Linear(config.qkv_rows[0], config.width, bias=config.attention_bias)

    def forward(
        self,
        x: Tensor,
        rope: Rope | None,
        cache: KVCache | None = None,
        explicit: bool = False,
        trace: Trace = NOTHING,
        edits: Edits = NONE,
    ) -> Tensor:
        """What attention adds to the residual stream, (B, T, W)."""
        c, at = self.config, f"blocks.{self.n}.attn"
        B, T, _ = x.shape
        q, k, v = self.heads(x)  # (B, H, T, d), (B, K, T, d), (B, K, T, d)
        for name, part in (("q", q), ("k", k), ("v", v)):
            trace.record(f"{at}.{name}", part)
        if rope is not None:
            q, k = turn(q, rope), turn(k, rope)
            trace.record(f"{at}.rot_q", q)
            trace.record(f"{at}.rot_k", k)
        if cache:
            k, v = cache.extend(self.n, k, v)  # (B, K, S, d)
        z = self._explicit(q, k, v, trace, edits) if explicit else _fused(q, k, v, edits)  # (B, H, T, d)
        z = edits.of_heads(self.n, z.transpose(1, 2))  # (B, T, H, d)
        trace.record(f"{at}.z", z)
        if trace.wants(f"{at}.result"):
            trace.record(f"{at}.result", self.results(z))
        out: Tensor = self.out(z.reshape(B, T, c.heads * c.head_width))
        return out

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of a normed residual stream, not yet turned."""
        c = self.config
        B, T, _ = x.shape
        q, k, v = self.qkv(x).split(c.qkv_rows, dim=-1)
        q = q.view(B, T, c.heads, c.head_width)
        k = k.view(B, T, c.kv_heads, c.head_width)
        v = v.view(B, T, c.kv_heads, c.head_width)
        if c.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def queries(self, x: Tensor) -> Tensor:
        """Of `heads` the queries alone, (B, H, T, d)."""
        q = self._rows(x, 0, self.config.qkv_rows[0])
        return (self.q_norm(q) if self.config.qk_norm else q).transpose(1, 2)

    def keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of `heads` the keys and values, each (B, K, T, d)."""
        of_q, of_k, of_v = self.config.qkv_rows
        k, v = self._rows(x, of_q, of_q + of_k), self._rows(x, of_q + of_k, of_q + of_k + of_v)
        return (self.k_norm(k) if self.config.qk_norm else k).transpose(1, 2), v.transpose(1, 2)

    def _rows(self, x: Tensor, begin: int, end: int) -> Tensor:
        """Some rows of the projection, as vectors of heads: (B, T, (end - begin) / d, d)."""
        bias = None if self.qkv.bias is None else self.qkv.bias[begin:end]
        made = F.linear(x, self.qkv.weight[begin:end], bias)
        return made.view(*x.shape[:2], -1, self.config.head_width)

    def results(self, z: Tensor) -> Tensor:
        """What each head adds to the residual stream, (B, T, H, W), from z, (B, T, H, d)."""
        c = self.config
        weight = self.out.weight.view(c.width, c.heads, c.head_width)
        return torch.einsum("bthd,whd->bthw", z, weight)

    def _explicit(self, q: Tensor, k: Tensor, v: Tensor, trace: Trace, edits: Edits) -> Tensor:
        """softmax(q kᵀ / √d + mask) v, step by step.

        Vaswani et al., Attention Is All You Need, https://arxiv.org/abs/1706.03762, section 3.2.1.
        """
        at, groups = f"blocks.{self.n}.attn", q.shape[1] // k.shape[1]
        k = k.repeat_interleave(groups, dim=1)  # (B, H, S, d)
        v = v.repeat_interleave(groups, dim=1)
        scores = q @ k.transpose(-1, -2)  # (B, H, T, S)
        if edits.scaling:
            scores = scores / math.sqrt(q.shape[-1])
        trace.record(f"{at}.scores", scores)
        forbidden = ~allowed_places(q.shape[2], k.shape[2], edits.allowed)  # (T, S)
        masked = scores.masked_fill(forbidden, -math.inf)
        trace.record(f"{at}.attn_scores", masked)
        pattern = masked.softmax(dim=-1) if edits.softmax else scores.masked_fill(forbidden, 0.0)
        trace.record(f"{at}.pattern", pattern)
        return pattern @ v  # (B, H, T, d)


class MLP(nn.Module):
    """Every token by itself: widen, bend, narrow."""

    def __init__(self, config: ModelConfig, n: int) -> None:
        super().__init__()
        self.kind, self.n = config.mlp, n
        self.inner = Linear(config.width, config.hidden * (2 if config.gated else 1), bias=config.mlp_bias)
        self.down = Linear(config.hidden, config.width, bias=config.mlp_bias)

    def forward(self, x: Tensor, trace: Trace = NOTHING) -> Tensor:
        """What the MLP adds to the residual stream, (B, T, W); a long text goes through it in pieces."""
        if x.shape[1] > _AT_ONCE and trace is NOTHING:
            return torch.cat([self(part) for part in torch.split(x, _AT_ONCE, dim=1)], dim=1)
        at = f"blocks.{self.n}.mlp"
        inner = self.inner(x)  # (B, T, F), or (B, T, 2 F): gate, then what it multiplies
        if self.kind == "swiglu":
            gate, inner = inner.chunk(2, dim=-1)
            trace.record(f"{at}.pre", gate)
            trace.record(f"{at}.pre_linear", inner)
            inner = F.silu(gate) * inner
        else:
            trace.record(f"{at}.pre", inner)
            inner = F.gelu(inner, approximate="tanh" if self.kind == "gelu_tanh" else "none")
        trace.record(f"{at}.post", inner)
        out: Tensor = self.down(inner)
        return out


def make_norm(config: ModelConfig) -> nn.LayerNorm | nn.RMSNorm:
    """A norm over the width, of the model's kind."""
    kind = nn.LayerNorm if config.norm == "layer" else nn.RMSNorm
    return kind(config.width, eps=config.norm_eps)


def allowed_places(queries: int, keys: int, edited: Tensor | None = None) -> Tensor:
    """Which token may look at which, bool, shape (T, S): at itself and at those before it."""
    if edited is not None:
        return edited
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def _places(rope: Rope, begin: int, end: int) -> Rope:
    """The turns of some of the places."""
    return rope[0][begin:end], rope[1][begin:end]


def _fused(q: Tensor, k: Tensor, v: Tensor, edits: Edits) -> Tensor:
    """The same as `_explicit` in one kernel that keeps no pattern."""
    T, S = q.shape[2], k.shape[2]
    shared = q.shape[1] != k.shape[1]
    if edits.allowed is None and T == S and worth_keeping(q, k):
        return causal_attention(q, k, v)
    if edits.allowed is None and (T == 1 or T == S):
        return F.scaled_dot_product_attention(q, k, v, is_causal=T > 1, enable_gqa=shared)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=allowed_places(T, S, edits.allowed), enable_gqa=shared
    )
