"""A record of what happens inside a forward pass, taken at the places that `transformer.py` names.

A name is that of TransformerLens (https://github.com/TransformerLensOrg/TransformerLens, hook points) without
"hook_"; N is a layer, B a batch of texts, T tokens, S tokens looked at, W width, H heads, K key/value heads,
d head width, F numbers inside an MLP, V vocabulary.

    embed                         (B, T, W)     token embeddings
    pos_embed                     (B, T, W)     learned positions, where the model has them
    blocks.N.resid_pre            (B, T, W)     residual stream before the block
    blocks.N.ln1.normalized       (B, T, W)     what attention reads
    blocks.N.attn.q               (B, H, T, d)  queries
    blocks.N.attn.k, v            (B, K, T, d)  keys, values
    blocks.N.attn.rot_q           (B, H, T, d)  queries after RoPE
    blocks.N.attn.rot_k           (B, K, T, d)  keys after RoPE
    blocks.N.attn.scores          (B, H, T, S)  q · k / √d, before the mask; explicit path only
    blocks.N.attn.attn_scores     (B, H, T, S)  the same after the mask; explicit path only
    blocks.N.attn.pattern         (B, H, T, S)  their softmax; explicit path only
    blocks.N.attn.z               (B, T, H, d)  weighted sums of values
    blocks.N.attn.result          (B, T, H, W)  what each head adds to the residual stream, without the bias
    blocks.N.attn_out             (B, T, W)     what attention adds
    blocks.N.resid_mid            (B, T, W)     residual stream between the two halves of the block
    blocks.N.ln2.normalized       (B, T, W)     what the MLP reads
    blocks.N.mlp.pre              (B, T, F)     before the activation; the gate's, where there is one
    blocks.N.mlp.pre_linear       (B, T, F)     what the gate multiplies
    blocks.N.mlp.post             (B, T, F)     after the activation, gate included
    blocks.N.mlp_out              (B, T, W)     what the MLP adds
    blocks.N.resid_post           (B, T, W)     residual stream after the block
    ln_final.normalized           (B, T, W)     what the head reads
    logits                        (B, T, V)     one number for each token of the vocabulary
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import Tensor

_MAY_BE_INFINITE = ".attn.attn_scores"


class Trace:
    """Keeps the tensors whose names match.

    Args:
        patterns: Names, with `*` for any part: "blocks.*.resid_post".

    Attributes:
        tensors: What was recorded, by name.
        not_finite: Names in which an infinite number or none was met, in the order of the pass.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._known: dict[str, bool] = {}
        self.tensors: dict[str, Tensor] = {}
        self.not_finite: list[str] = []

    def wants(self, name: str) -> bool:
        """Whether this name is to be kept."""
        if name not in self._known:
            self._known[name] = any(fnmatchcase(name, pattern) for pattern in self._patterns)
        return self._known[name]

    def record(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor if its name is wanted; it must not be written to afterwards."""
        if self.wants(name):
            self.tensors[name] = tensor.detach()
            if not name.endswith(_MAY_BE_INFINITE) and not bool(tensor.isfinite().all()):
                self.not_finite.append(name)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]


class _Nothing(Trace):
    """Wants nothing; so the pass need not ask whether it is traced."""

    def wants(self, name: str) -> bool:
        return False

    def record(self, name: str, tensor: Tensor) -> None:
        pass


NOTHING = _Nothing()
