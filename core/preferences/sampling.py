"""Candidates sampled from models: a stage that can be stopped and gone on with.

Outputs take the models in turn, then the temperatures. An output that equals an earlier one of its prompt is
drawn again with another seed, a few times; what stays equal becomes one card later.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from core.model.chat import chat_ids
from core.model.generation import Reader, Wrote, generate
from core.model.settings import GenerationSettings
from core.model.shelf import LoadedModel
from core.preferences.importing import DraftPrompt
from core.preferences.sampling_settings import SampleSettings, temperatures_of
from core.preferences.task import Item, Maker, make_item
from core.preferences.texts import folded, plain_said
from core.problems import LabError
from core.stages import Finished, Progress

_TRIES = 4  # of an output that equals another one


@dataclass(frozen=True)
class Source:
    """A model to sample from, and what people call it."""

    name: str
    loaded: LoadedModel


@dataclass(frozen=True)
class Sampled:
    """One candidate.

    Attributes:
        prompt_index: Which prompt, from 0.
        output_index: Which of its outputs, from 0.
        text: What the model wrote.
        maker: Model, temperature and seed.
    """

    prompt_index: int
    output_index: int
    text: str
    maker: Maker


Making = Iterator[Progress | Sampled | Finished[tuple[Item, ...]]]


def sample_outputs(
    prompts: Sequence[DraftPrompt],
    sources: Sequence[Source],
    settings: SampleSettings,
    have: Sequence[Sampled] = (),
) -> Making:
    """Sample the outputs of every prompt; a prompt whose outputs are all equal is left out, and counted.

    Args:
        prompts: Their own outputs, if a file brought some, are passed over.
        sources: At least one.
        settings: Checked here.
        have: What an earlier call gave before it was stopped: it is not made again.

    Raises:
        LabError: There is no prompt or no model, a setting is at fault, or a model has no tokenizer.
    """
    temperatures = temperatures_of(settings)
    if not prompts or not sources:
        raise LabError("There is no prompt or no model to sample from.", "Choose at least one of each.")
    for source in sources:
        source.loaded.needed_tokenizer()
    return _sample(
        prompts, sources, settings, temperatures, {(s.prompt_index, s.output_index): s for s in have}
    )


def _sample(
    prompts: Sequence[DraftPrompt],
    sources: Sequence[Source],
    settings: SampleSettings,
    temperatures: Sequence[float],
    made: dict[tuple[int, int], Sampled],
) -> Making:
    total = len(prompts) * settings.outputs
    items: list[Item] = []
    equal = 0
    for at, prompt in enumerate(prompts):
        for number in range(settings.outputs):
            if (at, number) not in made:
                source = sources[number % len(sources)]
                temperature = temperatures[number // len(sources) % len(temperatures)]
                known = {folded(made[at, k].text) for k in range(number)}
                sampled = yield from _output(at, number, prompt, source, settings, temperature, known)
                made[at, number] = sampled
                yield sampled
            yield Progress("Sampling outputs", at * settings.outputs + number + 1, total, "outputs")
        outputs = [(made[at, k].text, made[at, k].maker) for k in range(settings.outputs)]
        if len({folded(text) for text, _ in outputs}) < 2:
            equal += 1
            continue
        items.append(make_item(prompt.prompt, outputs, category=prompt.category))
    note = f" {equal:,} prompts were left out: their outputs were all equal." if equal else ""
    yield Finished(f"{len(items):,} prompts have their outputs.{note}", tuple(items))


def _output(
    at: int,
    number: int,
    prompt: DraftPrompt,
    source: Source,
    settings: SampleSettings,
    temperature: float,
    known: set[str],
) -> Generator[Progress, None, Sampled]:
    tokenizer = source.loaded.needed_tokenizer()
    if isinstance(prompt.prompt, str) and not source.loaded.chats:
        ids = tokenizer.encode(prompt.prompt)
    else:
        turns = plain_said(prompt.prompt)
        turns = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
        ids = chat_ids(tokenizer, turns)
    for attempt in range(_TRIES):
        seed = settings.seed + 1_000_003 * attempt + 1_009 * at + number
        chosen = GenerationSettings(
            temperature=temperature, top_p=settings.top_p, max_tokens=settings.max_tokens, seed=seed % 2**31
        )
        written: list[int] = []
        for event in generate(Reader(source.loaded.model), ids, chosen, tokenizer.end_ids):
            if isinstance(event, Wrote) and event.id not in tokenizer.end_ids:
                written.append(event.id)
            if isinstance(event, Progress | Wrote):
                yield Progress("Writing", len(written), settings.max_tokens, "tokens")
        text = tokenizer.decode_text(written).replace("\0", "").strip() or "…"
        if folded(text) not in known or temperature == 0:
            break
    facts = {
        "temperature": temperature, "top_p": settings.top_p, "max_tokens": settings.max_tokens,
        "seed": chosen.seed,
    }  # fmt: skip
    return Sampled(at, number, text, Maker(source.name, facts))
