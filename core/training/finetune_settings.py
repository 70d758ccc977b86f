"""What a person sets before a model is fine-tuned, beside how long and how fast. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import setting

METHODS = ("sft", "dpo", "ipo")


@dataclass(frozen=True)
class FinetuneSettings:
    """Which objective, and which weights."""

    method: str = setting(
        "sft",
        help="sft imitates demonstrations. dpo and ipo raise the better of two answers above the worse one: "
        "dpo without end, ipo up to a margin.",
        choices=METHODS,
    )
    beta: float = setting(
        0.1,
        help="With dpo and ipo: how dear it is to leave the model that was begun with.",
        more_means="the model stays nearer to what it was",
        low=1e-4,
        high=100.0,
    )
    nll: float = setting(
        0.0,
        title="NLL of the better",
        help="With dpo and ipo: so many times −ln p of the better answer is added to the loss, a mean over "
        "its tokens. Without it, both answers may become unlikely.",
        more_means="the better answers stay likely",
        low=0.0,
        high=100.0,
    )
    smoothing: float = setting(
        0.0,
        title="Wrong labels",
        help="With dpo and ipo: share of comparisons that are held to be the wrong way round.",
        more_means="single comparisons are trusted less",
        low=0.0,
        high=0.49,
    )
    robust: bool = setting(
        False,
        help="With dpo: take the bias of wrong labels out, too (https://arxiv.org/abs/2403.00409); else they "
        "only soften the loss.",
    )
    ipo_lengths: str = setting(
        "means",
        title="Answers in IPO",
        help="sums: the log-probability of a whole answer, as in the paper. means: its mean a token, as in "
        "TRL, so that long answers weigh no more than short ones.",
        choices=("means", "sums"),
    )
    rank: int = setting(
        0,
        title="Rank of LoRA",
        help="0 changes all weights. Otherwise these stay as they are, and beside each chosen matrix two "
        "thin ones of this rank learn.",
        more_means="more can be changed; more memory",
        low=0,
        high=1024,
    )
    alpha: float = setting(
        16.0,
        title="Alpha of LoRA",
        help="What the thin matrices give is multiplied by alpha / rank.",
        more_means="larger steps",
        low=0.0,
        high=10_000.0,
    )
    targets: str = setting(
        "all",
        title="Matrices of LoRA",
        help="Which matrices of the blocks get thin ones: all, attention, mlp, or names such as "
        "attn.qkv mlp.down, with spaces between them.",
    )
