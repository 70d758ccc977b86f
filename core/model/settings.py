"""How a text goes on: what a person sets, without what computes it, so that forms need no torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import setting


@dataclass(frozen=True)
class SamplingSettings:
    """How the next token is chosen."""

    temperature: float = setting(
        1.0,
        title="Temperature",
        help="Logits are divided by it. At 0 the most probable token is always taken.",
        more_means="rare tokens come more often; the ranking never changes",
        low=0.0,
        high=5.0,
    )
    top_k: int = setting(
        0,
        title="Top-k",
        help="Only the k most probable tokens are kept. 0 keeps all.",
        unit="tokens",
        more_means="more tokens to choose from",
        low=0,
        high=1_000_000,
    )
    top_p: float = setting(
        1.0,
        title="Top-p",
        help="The most probable tokens are kept until their probabilities add up to p. 1 keeps all.",
        more_means="more tokens to choose from",
        low=0.0,
        high=1.0,
    )
    min_p: float = setting(
        0.0,
        title="Min-p",
        help="Tokens are kept whose probability is at least this share of the largest one. 0 keeps all.",
        more_means="fewer tokens to choose from",
        low=0.0,
        high=1.0,
    )
    repetition_penalty: float = setting(
        1.0,
        title="Repetition penalty",
        help="Tokens that stand in the text already lose: a positive logit is divided by it, a negative one "
        "multiplied. 1 changes nothing. (Keskar et al., https://arxiv.org/abs/1909.05858, section 4.1)",
        more_means="fewer repetitions, until words are avoided that are needed",
        low=1.0,
        high=5.0,
    )


@dataclass(frozen=True)
class GenerationSettings(SamplingSettings):
    """How a text goes on."""

    max_tokens: int = setting(
        128,
        title="Most tokens",
        help="The text ends here if the model does not end it before.",
        unit="tokens",
        more_means="longer texts, more time",
        low=1,
        high=1_000_000,
    )
    seed: int = setting(
        0,
        title="Seed",
        help="The same seed, text and settings give the same tokens on the same machine.",
        low=0,
        high=2**31 - 1,
    )
