"""What a person sets before a run: the model's shape and how it is trained. Knows no torch, for forms."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.config import ModelConfig
from core.problems import LabError
from core.settings import check, setting


@dataclass(frozen=True)
class ShapeSettings:
    """How large the new model is."""

    layers: int = setting(
        4,
        help="Blocks of attention and MLP, one after another.",
        more_means="more steps of thought, more time",
        low=1,
        high=48,
    )
    width: int = setting(
        256,
        help="Numbers that stand for one token between the blocks.",
        unit="numbers",
        more_means="more room for what is known, time grows with its square",
        low=8,
        high=4096,
    )
    heads: int = setting(
        8,
        help="Attention heads in a block; the width is shared among them.",
        more_means="more places looked at at once, each with fewer numbers",
        low=1,
        high=64,
    )
    context: int = setting(
        256,
        help="Tokens that the model looks back on.",
        unit="tokens",
        more_means="longer memory; attention takes longer",
        low=8,
        high=8192,
    )

    def config(self, vocab_size: int) -> ModelConfig:
        """A GPT-2-style model of this shape with tied embeddings.

        Raises:
            LabError: A value is outside its limits, or the heads do not share the width evenly.
        """
        check(self)
        if self.width % self.heads:
            raise LabError(
                f"The width {self.width} cannot be shared by {self.heads} heads.",
                f"Choose a width that {self.heads} divides, such as "
                f"{self.heads * (self.width // self.heads + 1)}.",
            )
        return ModelConfig(
            family="gpt2",
            vocab_size=vocab_size,
            context=self.context,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.heads,
            head_width=self.width // self.heads,
            hidden=4 * self.width,
            norm="layer",
            norm_eps=1e-5,
            positions="learned",
            mlp="gelu_tanh",
            attention_bias=True,
            mlp_bias=True,
            qk_norm=False,
            tied=True,
        )


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained."""

    steps: int = setting(
        1000,
        help="How often the weights are changed.",
        unit="steps",
        more_means="more is learned, more time",
        low=1,
        high=10_000_000,
    )
    batch: int = setting(
        8,
        help="Pieces of text, each as long as the context, that one step learns from.",
        unit="sequences",
        more_means="steadier steps, each takes longer",
        low=1,
        high=4096,
    )
    accumulation: int = setting(
        1,
        help="A batch is read in so many parts, whose gradients are added up: the same step in less memory.",
        unit="parts",
        more_means="less memory",
        low=1,
        high=256,
    )
    optimizer: str = setting(
        "muon",
        help="How gradients become changes. Muon makes every direction of a matrix equally large "
        "(https://kellerjordan.github.io/posts/muon/); AdamW scales every number by itself.",
        choices=("muon", "adamw"),
    )
    rate: float = setting(
        3e-3,
        title="Learning rate",
        help="Length of a step of AdamW; with Muon that of embeddings, norms and biases.",
        more_means="faster, until the loss jumps",
        low=0.0,
        high=100.0,
    )
    matrix_rate: float = setting(
        0.02,
        title="Learning rate of matrices",
        help="Length of a step of Muon, for the matrices inside the blocks.",
        more_means="faster, until the loss jumps",
        low=0.0,
        high=100.0,
    )
    schedule: str = setting(
        "wsd",
        help="How the learning rate changes: wsd warms up, stays, and falls at the end; cosine falls all "
        "the way; constant stays.",
        choices=("wsd", "cosine", "constant"),
    )
    warmup: int = setting(
        50,
        help="Steps in which the learning rate grows from zero to its full value.",
        unit="steps",
        more_means="a gentler start",
        low=0,
        high=1_000_000,
    )
    decay: float = setting(
        0.3,
        title="Share of the fall",
        help="With wsd: the last share of the steps, in which the rate falls to zero.",
        more_means="an earlier fall",
        low=0.0,
        high=1.0,
    )
    weight_decay: float = setting(
        0.1,
        help="Every step shrinks the matrices by this times the learning rate.",
        more_means="smaller weights",
        low=0.0,
        high=10.0,
    )
    clip: float = setting(
        1.0,
        title="Longest gradient",
        help="A gradient longer than this is shortened to it. 0 leaves all as they are.",
        more_means="larger jumps are let through",
        low=0.0,
        high=1e9,
    )
    precision: str = setting(
        "auto",
        help="f32 is exact; bf16 has 8 bits and is faster where the processor has units for it. auto "
        "measures both and takes the faster one.",
        choices=("auto", "f32", "bf16"),
    )
    device: str = setting(
        "cpu",
        help="Where is computed: the processor, an NVIDIA card, or an Apple chip's graphics.",
        choices=("cpu", "cuda", "mps"),
    )
    seed: int = setting(
        0, help="The same seed gives the same first weights and batches.", low=0, high=2**31 - 1
    )
    evaluate_every: int = setting(
        100,
        help="So many steps lie between two looks at text that is never trained on.",
        unit="steps",
        more_means="fewer points on the curve, less time",
        low=1,
        high=1_000_000,
    )
    evaluate_tokens: int = setting(
        16_384,
        title="Validation",
        help="Tokens of the text never trained on that each look reads.",
        unit="tokens",
        more_means="a steadier figure, more time",
        low=64,
        high=100_000_000,
    )
    save_every: int = setting(
        100,
        help="So many steps lie between two saves from which the run can go on.",
        unit="steps",
        more_means="less is written, more is lost by a crash",
        low=1,
        high=1_000_000,
    )
    masked: bool = setting(
        True,
        title="Causal mask",
        help="Every token sees only those before it. Without it the model sees the answer, "
        "copies it, and cannot write.",
    )
