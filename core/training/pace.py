"""How long a plan takes on this machine: a few of its steps are tried, and the rest is arithmetic.

What is tried: three steps of the plan's shape (the first one warms up and does not count), a batch of a look
at validation, a few tokens of a sample, and some documents of the small world. Where a whole batch would take
long, fewer sequences are tried and the time grows with their number. Left out: a tokenizer that is learned
from a text of one's own, and what other programs do meanwhile.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Iterator

import numpy as np

from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.model.config import ModelConfig
from core.model.generation import Reader, generate
from core.model.settings import GenerationSettings
from core.problems import LabError
from core.settings import check
from core.stages import Finished, Progress
from core.training.estimates import Pace, vocab_size
from core.training.lessons import Pretraining
from core.training.machine import check_device, choose_precision, step_flops
from core.training.presets import RunPlan
from core.training.runs import world_tokenizer
from core.training.settings import TrainingSettings
from core.training.tokens import TokenFacts, Tokens
from core.training.trainer import Trainer

STEPS = 2  # after one that warms up; the faster one counts: other programs slow the other
_SECONDS = 0.6  # that a tried step should take at most, at half of the peak
_TOO_MUCH = 2 * 2**30  # bytes of weights, gradients and optimizer above which nothing is tried
_TOKENS = 8  # of a sample that is tried
_DOCUMENTS = 200
_BYTES = 16  # of a parameter: itself, its gradient, two averages
_SAMPLE = Pretraining.sample_tokens


def measure_pace(plan: RunPlan) -> Iterator[Progress | Finished[Pace]]:
    """Try a few steps of a plan.

    Args:
        plan: What is to be done.

    Raises:
        LabError: A value is outside its limits, there is no such device, or the model is too large to be
            tried quickly.
    """
    check(plan.settings)
    check_device(plan.settings.device)
    config = plan.shape.config(vocab_size(plan))
    parameters = sum(math.prod(shape) for shape in config.shapes().values())
    if parameters * _BYTES > _TOO_MUCH:
        raise LabError(
            f"A model of {parameters:,} parameters is too large to be tried quickly.",
            "Start the run: it says how long is left after its first steps.",
        )
    return _measure(plan, config)


def _measure(plan: RunPlan, config: ModelConfig) -> Iterator[Progress | Finished[Pace]]:
    total = STEPS + 4
    yield Progress("Measuring this machine", 0, total, "trials")
    precision, peak = choose_precision(plan.settings.precision, plan.settings.device)
    one = step_flops(config, config.context) / peak  # s of a sequence, at the peak
    sequences = max(1, min(plan.settings.batch, int(_SECONDS / 2 / max(one, 1e-9))))
    settings = dataclasses.replace(plan.settings, batch=sequences, accumulation=1, evaluate_tokens=1)
    trainer = Trainer(_lesson(config, settings), settings, precision)
    yield Progress("Trying steps", 1, total, "trials")
    times = []
    for n in range(STEPS + 1):
        began = time.perf_counter()
        for _ in trainer.next_step():
            pass
        times.append(time.perf_counter() - began)
        yield Progress("Trying steps", 2 + n, total, "trials")
    began = time.perf_counter()
    for _ in trainer.validate(trainer.lesson.parts(0)):
        pass
    look = time.perf_counter() - began
    began, written = time.perf_counter(), 0
    most = max(1, min(_TOKENS, config.context - 4))
    for _ in generate(Reader(trainer.model), [1, 2, 3], GenerationSettings(temperature=0.0, max_tokens=most)):
        written += 1
    token = (time.perf_counter() - began) / max(1, written)
    yield Progress("Trying the text", total - 1, total, "trials")
    share = plan.settings.batch / sequences
    pace = Pace(
        min(times[1:]) * share, look * share, token * _SAMPLE, _word(plan), sequences, precision
    )  # fmt: skip
    yield Finished(f"A step takes {pace.step:.2f} s.", pace)


def _lesson(config: ModelConfig, settings: TrainingSettings) -> Pretraining:
    """Random tokens: a step takes as long with any."""
    rng = np.random.default_rng(0)
    size = (STEPS + 4) * settings.batch * config.context + 1
    ids = rng.integers(0, config.vocab_size, size)
    facts = TokenFacts("uint32", config.vocab_size, size, size, size, 0.0, None, "")
    return Pretraining(config, Tokens(facts, ids, ids), world_tokenizer(), settings)


def _word(plan: RunPlan) -> float:
    """Seconds to write and encode a word of the small world; 0 of another text."""
    if plan.corpus.kind != "smallworld":
        return 0.0
    tokenizer = world_tokenizer()
    tokenizer.encode("The king")  # makes its tables
    began = time.perf_counter()
    some = itertools.islice(documents(SmallWorldSettings(seed=plan.corpus.seed)), _DOCUMENTS)
    texts = [one.text for one in some]
    for text in texts:
        tokenizer.encode(text)
    return (time.perf_counter() - began) / max(1, sum(len(text.split()) for text in texts))
