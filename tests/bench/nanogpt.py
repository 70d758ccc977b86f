"""The peer of `bench train`: a GPT and its step as nanoGPT publishes them (https://github.com/karpathy/nanoGPT).

Written anew in plain torch from its described set-up: no biases, learned positions, torch's fused causal
attention, exact GELU, tied head; AdamW with weight decay on matrices only; gradients cut at 1; float32, not
compiled, as it runs on a processor.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.model.config import ModelConfig


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        W = config.width
        self.heads = config.heads
        self.ln_1, self.ln_2 = nn.LayerNorm(W, bias=False), nn.LayerNorm(W, bias=False)
        self.attn, self.proj = nn.Linear(W, 3 * W, bias=False), nn.Linear(W, W, bias=False)
        self.fc, self.out = nn.Linear(W, 4 * W, bias=False), nn.Linear(4 * W, W, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, W = x.shape
        q, k, v = (
            part.view(B, T, self.heads, W // self.heads).transpose(1, 2)
            for part in self.attn(self.ln_1(x)).split(W, dim=2)
        )
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(z.transpose(1, 2).contiguous().view(B, T, W))
        return x + self.out(F.gelu(self.fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    """The model, with weights of its own making from `seed`."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.width)
        self.wpe = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                into_stream = name.endswith(("proj.weight", "out.weight"))
                std = 0.02 / math.sqrt(2 * config.layers) if into_stream else 0.02
                nn.init.normal_(parameter, 0.0, std, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, (B, T, V)."""
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)

    def loss(self, batch: Tensor) -> Tensor:
        """Cross-entropy of sequences, (B, T + 1)."""
        logits = self(batch[:, :-1])
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))


class Step:
    """One step of its training loop."""

    def __init__(self, model: NanoGPT, beta2: float) -> None:
        self.model = model
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        others = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, beta2))

    def __call__(self, batch: Tensor, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())


def cosine_rate(step: int, steps: int, warmup: int = 100, top: float = 1e-3, low: float = 1e-4) -> float:
    """nanoGPT's schedule: warm-up, then a cosine to a tenth."""
    if step < warmup:
        return top * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, steps - warmup)
    return low + 0.5 * (1 + math.cos(math.pi * share)) * (top - low)
