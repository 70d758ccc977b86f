"""Runs in folders: begin one from a plan, go on with one.

plan.json  tokens/  tokenizer/  metrics.jsonl  resume/step-N/  checkpoints/step-N/
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Generator, Iterator
from pathlib import Path

from core.artifacts import durable, plain_json
from core.corpus.documents import Document
from core.corpus.smallworld.generate import documents
from core.corpus.smallworld.settings import SmallWorldSettings
from core.corpus.sources import read_corpus
from core.problems import LabError
from core.settings import check
from core.stages import Finished, Progress, pass_on
from core.tokenizer.patterns import pattern
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.train import TrainSettings, train_tokenizer
from core.tokenizer.words import Text
from core.tokenizer.writing import write_tokenizer
from core.training import processes
from core.training.events import Controls
from core.training.lessons import Pretraining
from core.training.loop import Told, Work, train
from core.training.presets import PLAN, CorpusChoice, RunPlan, read_plan, with_settings
from core.training.tokens import SEPARATOR, encode_documents, open_tokens

WORDS_A_DOCUMENT = 35  # of the small world, for the progress
SPECIAL = f"{SEPARATOR} <|user|> <|assistant|> <|end|>"


def world_tokenizer() -> Tokenizer:
    """The shipped tokenizer of the small world.

    Raises:
        LabError: It is missing.
    """
    with importlib.resources.as_file(
        importlib.resources.files("resources") / "lineage" / "tokenizer"
    ) as folder:
        return read_tokenizer(folder)


def start_run(folder: Path, plan: RunPlan, controls: Controls | None = None) -> Told:
    """Prepare the text of a plan and train.

    Args:
        folder: The run's own: that of a new `Work`, or any new folder.
        plan: What is to be done.
        controls: What a person changes meanwhile.

    Raises:
        LabError: A value of the plan is outside its limits, or the text cannot be read.
    """
    for part in (plan.corpus, plan.settings):
        check(part)
    plan.shape.config(256)
    if plan.corpus.kind == "file":
        if not plan.corpus.path:
            raise LabError("No text is chosen.", "Choose a text file or a folder of them.")
        read_corpus(plan.corpus.path)  # its checks, at the click
    return _start(folder, plan, controls or Controls())


def resume_run(folder: Path, controls: Controls | None = None, steps: int | None = None) -> Told:
    """Go on with a run from its last save.

    Args:
        folder: The run's own.
        controls: What a person changes meanwhile.
        steps: Steps in all, where they are to be other than planned.

    Raises:
        LabError: The folder holds no run, or its text is not prepared.
    """
    plan = read_plan(folder)
    if plan is not None and not (folder / "tokens" / "tokens.json").is_file():
        return start_run(folder, plan, controls)  # it was stopped before its text was prepared
    if steps and plan is not None and steps != plan.settings.steps:
        plain_json.write_json(folder / PLAN, with_settings(plan, {"steps": steps}).to_json())
    return train(open_run(folder), controls)


def open_run(folder: Path) -> Work:
    """What a run works on, read from its folder.

    Raises:
        LabError: The folder holds no run, or its text is not prepared.
    """
    plan = read_plan(folder)
    if plan is None or not (folder / "tokens" / "tokens.json").is_file():
        raise LabError(f"{durable.shown(folder)} holds no run that can go on.", "Start a new one.")
    tokenizer = read_tokenizer(folder / "tokenizer")
    config = plan.shape.config(tokenizer.vocab_size)
    lesson = Pretraining(config, open_tokens(folder / "tokens"), tokenizer, plan.settings)
    return Work(folder, lesson, plan.settings, plan.prompts)


def _start(folder: Path, plan: RunPlan, controls: Controls) -> Told:
    if processes.is_first():
        yield from _prepare(folder, plan)
    processes.wait_for_all()
    yield from train(open_run(folder), controls)


def _prepare(folder: Path, plan: RunPlan) -> Iterator[Progress]:
    """Write the plan, the tokenizer and the tokens."""
    durable.ensure_folder(folder)
    plain_json.write_json(folder / PLAN, plan.to_json())
    texts, expected = yield from _texts(plan.corpus)
    if plan.corpus.tokenizer:
        tokenizer = read_tokenizer(Path(plan.corpus.tokenizer))
    elif plan.corpus.kind == "smallworld":
        tokenizer = world_tokenizer()
    else:
        tokenizer = yield from _learned(tuple(texts), plan.corpus.vocab_size)
    durable.ensure_folder(folder / "tokenizer")
    write_tokenizer(tokenizer, folder / "tokenizer")
    durable.ensure_folder(folder / "tokens")
    yield from pass_on(encode_documents(texts, tokenizer, folder / "tokens", expected))


def _texts(
    choice: CorpusChoice,
) -> Generator[Progress, None, tuple[Iterator[Document] | tuple[Document, ...], int]]:
    if choice.kind == "file":
        found: tuple[Document, ...] = yield from pass_on(read_corpus(choice.path))
        return found, len(found)
    settings = SmallWorldSettings(words=choice.words, seed=choice.seed, quiz_share=choice.quiz_share)
    return documents(settings), choice.words // WORDS_A_DOCUMENT


def _learned(texts: tuple[Document, ...], vocab_size: int) -> Generator[Progress, None, Tokenizer]:
    """A tokenizer of a text of one's own."""
    settings = TrainSettings(vocab_size=vocab_size, pattern="gpt2", special_tokens=SEPARATOR)
    made = None
    named = [Text(name=text.source, path=None, text=text.text) for text in texts]
    for event in train_tokenizer(named, settings):
        if isinstance(event, Finished):
            made = event.result
        elif isinstance(event, Progress):
            yield event
    if made is None:
        raise LabError("No tokenizer could be learned from the text.", "Choose a longer text.")
    return Tokenizer.from_learned(
        made, pattern("gpt2"), "own", chat_template=None, bos=SEPARATOR, eos=SEPARATOR
    )
