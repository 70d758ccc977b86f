"""Every lab's real work, small, on what ships with the app; for `llmlab doctor --run` and the Help menu.

Each trial does what a student would do in that lab and compares with a figure that was measured before
(resources/doctor/expected.json; `llmlab doctor --run --json` prints what came out). A trial that needs
SmolLM2 is left out, and says so, where that is not installed. Nothing of the workspace is touched: what is
written goes to a folder for temporary files.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from labapp.offline import watch_sockets
from labapp.scenes import read_json
from labapp.words import tr

if TYPE_CHECKING:
    from core.model.shelf import LoadedModel

SEED = 7
STEPS = 20
QUESTION = "What is the capital of France?"
CAT = "The cat sat on the mat because it was tired."


@dataclass(frozen=True)
class Tried:
    """What came of one trial.

    Attributes:
        lab: Which lab's work it is, as its tab is called.
        work: What was done.
        state: "ok", "note" where it was left out, "failed" where it ended in a fault or with another figure.
        found: What came out.
        expected: What had to, with its tolerance.
        remedy: What to do; "" where nothing is needed.
        seconds: How long it took.
    """

    lab: str
    work: str
    state: str
    found: str
    expected: str
    remedy: str
    seconds: float

    def line(self) -> str:
        """The trial as one line of text."""
        remedy = f"  → {self.remedy}" if self.remedy else ""
        return f"{self.state:<7}  {self.lab:<14} {self.work}: {self.found} ({self.seconds:.1f} s){remedy}"


@dataclass(frozen=True)
class Figure:
    """A figure as it came out, and what it is held against."""

    value: Any
    shown: str


Trial = Callable[[Path], Iterator[Progress | Finished[Figure]]]


def try_labs() -> Iterator[Progress | Tried | Finished[tuple[Tried, ...]]]:
    """Run all trials, one after the other; a trial that fails keeps no other from being tried."""
    expected = read_json("doctor", "expected.json")
    done: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="llmlab-check-") as folder, watch_sockets() as calls:
        for n, (name, (lab, work, trial)) in enumerate(TRIALS.items()):
            yield Progress(work, n, len(TRIALS), "trials")
            began = time.monotonic()
            try:
                figure: Figure = yield from pass_on(trial(Path(folder) / name))
            except LabError as error:
                state = "note" if "not installed" in error.problem else "failed"
                tried = (state, error.problem, "", error.remedy)
            except Exception as error:  # a report that stops half-way helps nobody
                tried = ("failed", f"{type(error).__name__}: {error}", "", tr("Send this report."))
            else:
                tried = _compared(figure, expected[name])
            done.append(Tried(lab, work, *tried, time.monotonic() - began))
            yield done[-1]
        done.append(_offline(calls))
        yield done[-1]
    failed = sum(one.state == "failed" for one in done)
    yield Finished(tr("{n} of {total} trials failed.", n=failed, total=len(done)), tuple(done))


def _compared(figure: Figure, expected: dict[str, Any]) -> tuple[str, str, str, str]:
    wanted, within = expected["value"], expected.get("within", 0)
    if isinstance(wanted, int | float):
        right = abs(figure.value - wanted) <= within
        said = f"{wanted:g} ± {within:g}"
    else:
        right, said = figure.value == wanted, str(wanted)
    remedy = "" if right else tr("Another figure than expected ({said}): send this report.", said=said)
    return ("ok" if right else "failed"), figure.shown, said, remedy


def _offline(calls: list[str]) -> Tried:
    remedy = tr("Send this report: LLM Lab must open no connection.") if calls else ""
    found = ", ".join(calls[:3]) if calls else tr("0 calls")
    return Tried(
        tr("All labs"), tr("Connections"), "failed" if calls else "ok", found, tr("0 calls"), remedy, 0.0
    )


# The trials, in the order of the tabs. All load what they need themselves.


def _merges(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.tokenizer.samples import load_sample
    from core.tokenizer.train import TrainSettings, train_tokenizer
    from core.tokenizer.words import Text

    sample = load_sample("story")
    text = Text(name=sample.title, path=None, text=sample.text)
    settings = TrainSettings(vocab_size=356, special_tokens="")
    learned: Any = yield from pass_on(train_tokenizer([text], settings))
    digest = hashlib.sha256(repr(learned.merges).encode()).hexdigest()[:12]
    yield Finished("", Figure(digest, tr("{n} merges, {digest}", n=len(learned.merges), digest=digest)))


def _analogy(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.embeddings.analogies import analogy
    from core.embeddings.neighbors import Space
    from core.embeddings.projection import pca
    from core.embeddings.vectors import token_vectors

    loaded = yield from _load("base")
    vectors = token_vectors(loaded.model, loaded.needed_tokenizer(), "base")
    explained = pca(vectors.values).explained
    share = float(explained[0]) if explained is not None else 0.0
    word = vectors.names[analogy(Space(vectors), "king", "man", "woman").ranked[0].row].strip()
    shown = tr(
        "{share:.1f} % along the first axis; king − man + woman = {word}", share=100 * share, word=word
    )
    yield Finished("", Figure([word, round(share, 2)], shown))


def _attention(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    import torch

    from core.model.trace import Trace

    loaded = yield from _load("smollm2")
    ids = loaded.needed_tokenizer().encode(CAT)
    trace = Trace(["blocks.13.attn.pattern"])
    with torch.inference_mode():
        loaded.model(torch.tensor([ids]), explicit=True, trace=trace)
    weight = float(trace.tensors["blocks.13.attn.pattern"][0, 8, 7, 1])
    yield Finished("", Figure(weight, tr("layer 13, head 8, it → cat: {weight:.3f}", weight=weight)))


def _answer(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.model.chat import chat_ids
    from core.model.generation import Reader, Wrote, generate
    from core.model.settings import GenerationSettings

    loaded = yield from _load("aligned")
    tokenizer = loaded.needed_tokenizer()
    ids = chat_ids(tokenizer, [{"role": "user", "content": QUESTION}])
    written: list[int] = []
    for event in generate(Reader(loaded.model), ids, GenerationSettings(temperature=0.0), tokenizer.end_ids):
        if isinstance(event, Wrote) and event.id not in tokenizer.end_ids:
            written.append(event.id)
            yield Progress(tr("Writing"), len(written), 0, "tokens")
    text = tokenizer.decode_text(written).strip()
    yield Finished("", Figure(text, text))


def _training(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.training.presets import CorpusChoice, RunPlan
    from core.training.runs import start_run
    from core.training.settings import ShapeSettings, TrainingSettings

    shape = ShapeSettings(layers=2, width=64, heads=4, context=64)
    settings = TrainingSettings(steps=STEPS, batch=16, precision="f32", seed=SEED)
    plan = RunPlan("doctor", CorpusChoice(words=20_000, seed=SEED), shape, settings)
    losses = yield from _losses(start_run(folder, plan))
    first, last = losses[0], losses[-1]
    shown = tr("loss {first:.3f} to {last:.3f} in {n} steps", first=first, last=last, n=len(losses))
    yield Finished("", Figure(last, shown))


def _finetuning(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.training.finetune import start_finetune
    from core.training.finetune_plans import finetune_preset, with_values

    changes = {"steps": 2, "batch": 8, "rows": 64, "nll": 0.0, "seed": SEED, "precision": "f32"}
    losses = yield from _losses(start_finetune(folder, with_values(finetune_preset("dpo").plan, changes)))
    shown = tr("DPO begins at a loss of {loss:.4f}; ln 2 is 0.6931", loss=losses[0])
    yield Finished("", Figure(losses[0], shown))


def _ranking(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.preferences.answers import Answer
    from core.preferences.results import read_results
    from core.preferences.shipped import load_shipped
    from core.preferences.store import DATABASE, create_store, open_store
    from core.preferences.task import make_task

    folder.mkdir()
    task = make_task("check", load_shipped("everyday")[:2], "")
    with create_store(folder / DATABASE, task) as store:
        session = store.session(store.enter("check").id)
        shown: Any = session.next_item()
        tiers = tuple((output.id,) for output in reversed(shown.outputs))
        session.submit(shown.item_id, Answer(tiers), attempt=shown.attempt)
        yield Progress(tr("Ranking"), 1, 1, "items")
    with open_store(folder / DATABASE, read_only=True) as store:
        kept = [ranking.tiers for ranking in read_results(store).rankings]
    yield Finished("", Figure(kept == [tiers], tr("{n} ranking written and read back", n=len(kept))))


def _quantizing(folder: Path) -> Iterator[Progress | Finished[Figure]]:
    from core.quantization.blocks import quantize

    loaded = yield from _load("base")
    rows = dict(loaded.model.named_parameters())["embed.weight"].detach()
    raw = quantize(rows, "Q4_K")
    digest = hashlib.sha256(raw.numpy().tobytes()).hexdigest()[:12]
    yield Finished("", Figure(digest, tr("{n:,} weights to Q4_K, {digest}", n=rows.numel(), digest=digest)))


def _load(name: str) -> Generator[Progress, None, LoadedModel]:
    """A model that ships, or SmolLM2."""
    from core.model.shelf import Shelf
    from core.tokenizer.known import known_path
    from labapp.app import shipped_folder

    path = known_path(name) if name == "smollm2" else shipped_folder() / name
    loaded: LoadedModel = yield from pass_on(Shelf().take(path))
    return loaded


def _losses(stage: Iterator[Any]) -> Generator[Progress, None, list[float]]:
    """The loss of every step of a run; its other events go by."""
    from core.training.events import Stepped

    losses: list[float] = []
    for event in stage:
        if isinstance(event, Stepped):
            losses.append(event.loss)
        yield event if isinstance(event, Progress) else Progress(tr("Training"), len(losses), 0, "steps")
    return losses


TRIALS: dict[str, tuple[str, str, Trial]] = {
    "merges": ("Tokenizer", "Learn 100 merges of a story", _merges),
    "analogy": ("Embeddings", "Project a vocabulary, solve an analogy", _analogy),
    "attention": ("Attention", "Trace SmolLM2 on a sentence", _attention),
    "answer": ("Forward pass", "Answer a question", _answer),
    "training": ("Training", "Train 20 steps", _training),
    "finetuning": ("Fine-tuning", "Train 2 steps on preferences", _finetuning),
    "ranking": ("Preferences", "Write a ranking and read it", _ranking),
    "quantizing": ("Quantization", "Quantize a table", _quantizing),
}
"""By the name of the figure that each is held against: lab, work, and the trial."""
