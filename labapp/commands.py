"""The commands of `llmlab`, one function each; every one drives a stage of `core` or opens the window."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.artifacts import publish_folder, refer
from core.problems import LabError
from core.settings import to_json
from core.stages import Finished, Progress, run_to_end
from labapp.rates import amount_in_words

if TYPE_CHECKING:
    from core.model.shelf import Shelf

app = typer.Typer(
    name="llmlab", no_args_is_help=False, add_completion=False, pretty_exceptions_enable=False,
    help="Take a language model from raw text to a chat model, offline, and look inside at every step.",
)  # fmt: skip
tokenizer_app = typer.Typer(help="Learn a tokenizer, or encode a text with one.", no_args_is_help=True)
artifacts_app = typer.Typer(help="What is in the workspace.", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")
evals_app = typer.Typer(help="How good a model is, in numbers.", no_args_is_help=True)
app.add_typer(artifacts_app, name="artifacts")
app.add_typer(evals_app, name="evals")

WorkspaceOption = Annotated[Path | None, typer.Option("--workspace", help="Folder of the workspace.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line; the last is the result.")]
SHIPPED = {"base": "Small world, base", "sft": "Small world, SFT", "aligned": "Small world, aligned"}
"""Models that ship, by the name of their folder."""
PROGRESS_EVERY = 0.5  # s between two progress lines
SCORED_AT_MOST = 20_000_000  # bytes of a text
TRACED_AT_MOST = 512  # tokens: all of SmolLM2's places take 1.6 GB at 1,024


def run(words: list[str]) -> int:
    """Run typer on a command line; exit status 2 on wrong usage.

    Raises:
        LabError: What the person can mend.
    """
    import labapp.commands_embeddings
    import labapp.commands_finetune
    import labapp.commands_preferences
    import labapp.commands_quantization
    import labapp.commands_training  # noqa: F401  all of them add their commands to the app

    try:
        app(words, prog_name="llmlab")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


@app.command("open")
def open_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to open.")] = None,
    workspace: WorkspaceOption = None,
    lab: Annotated[str | None, typer.Option(help="Lab to show first.")] = None,
) -> None:
    """Open the window (also: llmlab alone, or llmlab FILE)."""
    from labapp.app import open_window
    from labapp.labs import CATALOGUE

    names = [entry.name for entry in CATALOGUE]
    if lab is not None and lab not in names:
        raise LabError(f"There is no lab {lab!r}.", f"The labs are {', '.join(names)}.")
    raise typer.Exit(open_window(workspace, lab, list(files or [])))


@tokenizer_app.command("train")
def train_command(
    texts: Annotated[list[Path], typer.Argument(help="Text files in UTF-8.")],
    out: Annotated[Path, typer.Option(help="New folder for the tokenizer.")],
    vocab_size: Annotated[int, typer.Option(help="Tokens in the end.")] = 2048,
    pattern: Annotated[str, typer.Option(help="none, gpt2, smollm, qwen2, cl100k or o200k.")] = "gpt2",
    min_frequency: Annotated[int, typer.Option(help="How often a pair must occur to be merged.")] = 2,
    special: Annotated[str, typer.Option(help="Special tokens, with spaces between them.")] = "<|endoftext|>",
    chat_template: Annotated[Path | None, typer.Option(help="Jinja file to write with it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a tokenizer from texts; the folder opens in tokenizers and transformers."""
    from core.formats.files import read_text
    from core.tokenizer.patterns import pattern as find_pattern
    from core.tokenizer.tokenizer import Tokenizer
    from core.tokenizer.train import Counted, TrainSettings, train_tokenizer
    from core.tokenizer.words import Text
    from core.tokenizer.writing import write_tokenizer

    settings = TrainSettings(vocab_size, min_frequency, pattern, special)
    template = read_text(chat_template, 1_000_000) if chat_template else None
    stage = train_tokenizer([Text(name=p.name, path=p, text=None) for p in texts], settings)
    references = [refer(path) for path in texts]
    draft = publish_folder(
        out, "tokenizer", out.name, "tokenizer.train", settings=to_json(settings), references=references
    )
    last: Any = None
    characters = tokens = 0
    for event in shown(stage, as_json):
        if isinstance(event, Counted):
            characters = event.words.characters
        tokens = getattr(event, "corpus_tokens", tokens)
        last = event
    _check_finished(last)
    end = settings.special_token_list[0] if settings.special_token_list else None
    made = Tokenizer.from_learned(
        last.result, find_pattern(pattern), out.name, chat_template=template, bos=end, eos=end
    )
    with draft:
        write_tokenizer(made, draft.folder)
        draft.metrics["characters_per_token"] = characters / max(1, tokens)
    say_result(
        {
            "folder": str(out), "vocab_size": made.vocab_size, "merges": len(made.merges),
            "reason": last.reason,
        },
        as_json, f"{len(made.merges):,} merges, {made.vocab_size:,} tokens in {out}. {last.reason}",
    )  # fmt: skip


@tokenizer_app.command("encode")
def encode_command(
    text: Annotated[str, typer.Argument(help="The text.")],
    tokenizer: Annotated[str, typer.Option(help="gpt2, cl100k, o200k, smollm2, or a file or folder.")],
    special: Annotated[bool, typer.Option(help="Recognize special tokens in the text.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Encode a text: its ids and tokens."""
    from core.tokenizer.known import known_tokenizers, load_known
    from core.tokenizer.reading import read_tokenizer
    from core.tokenizer.tokenizer import readable

    known = [k.name for k in known_tokenizers()]
    made = load_known(tokenizer) if tokenizer in known else read_tokenizer(Path(tokenizer))
    ids = made.encode(text, special="all" if special else "text")
    tokens = ["".join(p.text or f"⟨{p.hex}⟩" for p in readable(made.token_bytes(i))) for i in ids]
    say_result({"ids": ids, "tokens": tokens}, as_json, " ".join(map(str, ids)) + "\n" + "·".join(tokens))


ModelOption = Annotated[
    str, typer.Option("--model", help="smollm2, a GGUF file, or a folder with config.json and safetensors.")
]


@app.command("generate")
def generate_command(
    prompt: Annotated[str, typer.Argument(help="The text to go on from, or the question with --chat.")],
    model: ModelOption = "smollm2",
    chat: Annotated[bool, typer.Option(help="Put the prompt into the model's chat template.")] = False,
    fast: Annotated[bool, typer.Option(help="Fewer bits: the fastest way on this machine.")] = False,
    close: Annotated[bool, typer.Option(help="The fastest way within 0.02 nats of the exact one.")] = False,
    max_tokens: Annotated[int, typer.Option(help="New tokens at most.")] = 128,
    temperature: Annotated[float, typer.Option(help="0 always takes the most probable token.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Keep the k most probable tokens; 0 keeps all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Keep tokens until they add up to p.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Keep tokens of this share of the best one.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="1 changes nothing.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Let a model go on with a text, or answer in chat."""
    from core.model.chat import chat_ids
    from core.model.generation import Reader, Wrote, generate
    from core.model.settings import GenerationSettings

    shelf = _make_shelf()
    loaded = load_named(model, as_json, shelf)
    tokenizer = loaded.needed_tokenizer()
    used, path = loaded.model, {"path": "exact"}
    if fast or close:
        used, path = _take_fast(shelf, loaded, "close" if close else "fastest", as_json)
    settings = GenerationSettings(temperature, top_k, top_p, min_p, repetition_penalty, max_tokens, seed)
    ids = chat_ids(tokenizer, [{"role": "user", "content": prompt}]) if chat else tokenizer.encode(prompt)
    last: Any = None
    written: list[int] = []
    told = 0
    for event in shown(generate(Reader(used), ids, settings, tokenizer.end_ids), as_json):
        if isinstance(event, Wrote) and event.id not in tokenizer.end_ids:
            written.append(event.id)
            text = tokenizer.decode(written).decode("utf-8", "ignore")  # half a character waits for the rest
            if not as_json:
                print(text[told:], end="", flush=True)
            told = len(text)
        last = event
    _check_finished(last)
    text = tokenizer.decode_text(written)
    say_result({"text": text, "ids": written, "reason": last.reason} | path, as_json, "")


@app.command("trace")
def trace_command(
    text: Annotated[str, typer.Option(help="The text to read.")],
    out: Annotated[Path, typer.Option(help="New safetensors file.")],
    model: ModelOption = "smollm2",
    names: Annotated[
        list[str] | None, typer.Option("--name", help="What to record, with * for any part; else all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Record what happens inside a pass, a named tensor for each place that core/model/trace.py lists."""
    import torch
    from safetensors.torch import save

    from core.formats.files import write_new
    from core.model.trace import Trace

    loaded = load_named(model, as_json)
    ids = loaded.needed_tokenizer().encode(text, special="all")
    if not 0 < len(ids) <= min(TRACED_AT_MOST, loaded.model.config.context):
        raise LabError(
            f"The text has {len(ids):,} tokens.", f"Give a text of 1 to {TRACED_AT_MOST:,} tokens."
        )
    trace = Trace(names or ["*"])
    with torch.inference_mode():
        loaded.model(torch.tensor([ids]), explicit=True, trace=trace)
    tensors = {name: tensor.clone().contiguous() for name, tensor in trace.tensors.items()}
    if not tensors:
        raise LabError(
            f"Nothing is called {', '.join(names or [])}.", "Names look like blocks.0.attn.pattern."
        )
    write_new(out, save(tensors, {"text": text, "model": loaded.source.name}))
    say_result(
        {"file": str(out), "tensors": len(tensors), "not_finite": trace.not_finite},
        as_json, f"{len(tensors):,} tensors of {len(ids):,} tokens in {out}.",
    )  # fmt: skip


@evals_app.command("perplexity")
def perplexity_command(
    file: Annotated[Path, typer.Argument(help="Text file in UTF-8.")],
    model: ModelOption = "smollm2",
    window: Annotated[int, typer.Option(help="Tokens that are read together.")] = 1024,
    overlap: Annotated[float, typer.Option(help="Share of a window that is read again for the next.")] = 0.5,
    as_json: JsonOption = False,
) -> None:
    """Score a text: perplexity under this tokenizer, and bits per byte, which compare across tokenizers."""
    from core.evals.scores import ScoreSettings, score_tokens
    from core.formats.files import read_text

    text = read_text(file, SCORED_AT_MOST)
    loaded = load_named(model, as_json)
    tokenizer = loaded.needed_tokenizer()
    ids = tokenizer.encode(text)
    sizes = [len(tokenizer.token_bytes(i)) for i in ids]
    score = run_stage(score_tokens(loaded.model, ids, sizes, ScoreSettings(window, overlap)), as_json)
    say_result(
        {
            "perplexity": score.perplexity, "bits_per_byte": score.bits_per_byte, "loss": score.loss,
            "tokens": score.tokens, "bytes": score.bytes, "windows": score.windows, "window": score.window,
        },
        as_json,
        f"perplexity {score.perplexity:,.2f} over {score.tokens:,} tokens (windows of "
        f"{score.window:,}: {score.windows:,}); {score.bits_per_byte:.3f} bits per byte",
    )  # fmt: skip


def _make_shelf() -> Shelf:
    """A shelf that remembers in the user's own workspace how fast models are here."""
    from core.model.fast_memory import FastMemory
    from core.model.shelf import Shelf
    from labapp.app import open_workspace

    return Shelf(memory=FastMemory(open_workspace(None).root))


def load_named(name: str, as_json: bool, shelf: Shelf | None = None) -> Any:
    """A `LoadedModel` by name (smollm2, base) or path."""
    from core.tokenizer.known import known_path
    from labapp.app import shipped_folder

    path, title = Path(name), ""
    if name == "smollm2":
        path, title = known_path(name), "SmolLM2-135M"
    elif name in SHIPPED and not path.exists():
        path, title = shipped_folder() / name, SHIPPED[name]
    shelf = shelf or _make_shelf()
    return run_stage(shelf.take(path, title), as_json)


def _take_fast(shelf: Shelf, loaded: Any, setting: str, as_json: bool) -> tuple[Any, dict[str, Any]]:
    """The model on the fast path, and what is to be said of that path."""
    fast = run_stage(shelf.take_fast(loaded, setting), as_json)
    way, exact = fast.way, fast.exact
    if not as_json:
        print(
            f"fast path: {way.title}; {1 / way.seconds:.0f} tokens/s against {1 / exact.seconds:.0f} exact; "
            f"mean divergence {way.divergence:.4f} nats over {way.tokens} tokens",
            file=sys.stderr,
        )
    return fast.model, {
        "path": way.title, "mean_divergence": way.divergence, "seconds_per_token": way.seconds,
    }  # fmt: skip


@artifacts_app.command("list")
def list_command(
    workspace: WorkspaceOption = None, kind: str | None = None, as_json: JsonOption = False
) -> None:
    """List the artifacts of the workspace, newest first."""
    from labapp.app import open_workspace

    found = open_workspace(workspace)
    for artifact in found.artifacts(kind):
        facts = {
            "id": artifact.id,
            "kind": artifact.kind,
            "name": artifact.name,
            "created": artifact.created.isoformat(),
        }
        say_result(facts, as_json, f"{artifact.id}  {artifact.kind:<12} {artifact.name}")
    for problem in found.problems():
        say_result({"problem": problem.problem}, as_json, f"problem: {problem}")


@artifacts_app.command("verify")
def verify_command(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Artifact folders; none: the workspace.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file of artifacts against its hash; exit status 1 if one is damaged."""
    from core.artifacts import open_artifact
    from labapp.app import open_workspace

    chosen = [open_artifact(folder) for folder in folders or []]
    problems: list[LabError] = []
    if not folders:
        found = open_workspace(workspace)
        chosen, problems = found.artifacts(), found.problems()
    for artifact in chosen:
        try:
            artifact.verify()
        except LabError as error:
            problems.append(error)
        else:
            say_result({"id": artifact.id, "ok": True}, as_json, f"ok       {artifact.id}  {artifact.name}")
    for problem in problems:
        say_result({"ok": False, "problem": str(problem)}, as_json, f"damaged  {problem}")
    raise typer.Exit(1 if problems else 0)


@app.command("doctor")
def doctor_command(
    workspace: WorkspaceOption = None,
    do_run: Annotated[bool, typer.Option("--run", help="Do each lab's real work, and compare.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is installed, what is missing, and how to add it; with --run, try every lab's work."""
    from labapp.doctor import examine
    from labapp.trials import Tried, try_labs

    checks = examine(workspace)
    for check in checks:
        say_result(dataclasses.asdict(check), as_json, check.line())
    wrong = any(check.state == "missing" and check.needed for check in checks)
    if do_run:
        for event in shown(try_labs(), as_json):
            if isinstance(event, Tried):
                wrong = wrong or event.state == "failed"
                if not as_json:  # else it was said as an event
                    print(event.line(), flush=True)
        say_result({"ok": not wrong}, as_json, "")
    raise typer.Exit(1 if wrong else 0)


@app.command("screenshots")
def screenshots_command(
    out: Annotated[Path, typer.Option(help="New or existing folder for the pictures.")],
    size: Annotated[list[str] | None, typer.Option(help="Window sizes, such as 1280x800.")] = None,
    theme: Annotated[list[str] | None, typer.Option(help="light, dark.")] = None,
) -> None:
    """Take a picture of every page of every lab, light and dark."""
    from labapp.screenshots import take_screenshots

    for path in take_screenshots(
        out, size or ["1280x800", "1280x650", "1093x570"], theme or ["light", "dark"]
    ):
        print(path)


def run_stage(stage: Iterator[Any], as_json: bool) -> Any:
    """Run a stage for its result alone."""
    return run_to_end(shown(stage, as_json)).result


def shown(stage: Iterator[Any], as_json: bool) -> Iterator[Any]:
    """Pass a stage's events on, saying each as JSON, or the progress now and then on standard error."""
    said = time.monotonic()
    try:
        for event in stage:
            if as_json and not isinstance(event, Finished):
                print(json.dumps({"event": type(event).__name__, **_plain(event)}), flush=True)
            elif isinstance(event, Progress) and time.monotonic() - said > PROGRESS_EVERY:
                said = time.monotonic()
                total = f" of {amount_in_words(event.total, event.unit)}" if event.total else ""
                print(f"{event.doing}: {amount_in_words(event.done, event.unit)}{total}", file=sys.stderr)
            yield event
    finally:
        if hasattr(stage, "close"):
            stage.close()


def _plain(event: Any) -> dict[str, Any]:
    """The plain values of an event; arrays and counters are left out."""
    facts = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
    return {name: value for name, value in facts.items() if isinstance(value, str | int | float | None)}


def _check_finished(event: Any) -> None:
    """Raise if a stage ended without its Finished: a bug of ours, not the person's."""
    if not isinstance(event, Finished):
        raise TypeError(f"The stage ended with {event!r}, not with Finished.")


def say_result(facts: dict[str, Any], as_json: bool, text: str) -> None:
    """Say what came out: as JSON, or as a text for a person."""
    print(json.dumps(facts, ensure_ascii=False) if as_json else text, flush=True)
