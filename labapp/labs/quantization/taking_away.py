"""The stages behind the page Take it away: what a file needs elsewhere, copying it, and a trial."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from labapp.labs.quantization.choosing import Subject
from labapp.models import Models
from labapp.words import tr

if TYPE_CHECKING:
    from core.quantization.elsewhere import Agreement
    from core.quantization.modelfile import Turns
    from core.tokenizer.tokenizer import Tokenizer

_AT_ONCE = 4 << 20  # bytes that are copied between two events


@dataclass(frozen=True, eq=False)
class Parcel:
    """What is known of a file that is to be taken away.

    Attributes:
        subject: The model.
        file: Its GGUF file.
        bytes: Of the file.
        bits: A weight.
        context: Tokens that the model looks back on.
        turns: Its chat template in Ollama's words, or None.
        chats: Whether it has a chat template.
        stops: Texts that end an answer.
    """

    subject: Subject
    file: Path
    bytes: int
    bits: float
    context: int
    turns: Turns | None
    chats: bool
    stops: tuple[str, ...]


def parcel_of(subject: Subject) -> Parcel:
    """Read a file's header.

    Raises:
        LabError: It is no GGUF file, or cannot be read.
    """
    from core.model.source import open_model
    from core.quantization.modelfile import turns_of
    from core.quantization.quantize import begins_texts
    from core.tokenizer.gguf_vocabulary import gguf_tokenizer

    source = open_model(subject.there, subject.title)
    if source.header is None:
        raise LabError(
            tr("{name} is no GGUF file.", name=subject.title),
            tr("Make one on the page Quantize; F16 and F32 keep its numbers as they are."),
        )
    tokenizer = gguf_tokenizer(source.header, source.name)
    stops = tuple(tokenizer.token_bytes(id_).decode("utf-8", "replace") for id_ in sorted(tokenizer.end_ids))
    turns, bits = turns_of(tokenizer, begins_texts(source)), 8 * source.stored_bytes / source.numbers
    return Parcel(
        subject, source.path, source.header.file_size, bits, source.config.context, turns,
        bool(tokenizer.chat_template), stops,
    )  # fmt: skip


def copy_away(parcel: Parcel, folder: Path, modelfile: str) -> Iterator[Progress | Finished[Path]]:
    """Copy the file into a folder, with a Modelfile beside it; nothing there is written over.

    Raises:
        LabError: One of both is there already; while it runs: the disk refused.
    """
    target, beside = folder / parcel.file.name, folder / "Modelfile"
    for path in (target, beside):
        if path.exists():
            raise LabError(tr("{path} exists already.", path=path), tr("Choose another folder."))
    return _copy(parcel, target, beside, modelfile)


def _copy(parcel: Parcel, target: Path, beside: Path, modelfile: str) -> Iterator[Progress | Finished[Path]]:
    part = target.with_name(f".{target.name}.part")
    done = 0
    try:
        with parcel.file.open("rb") as source, part.open("xb") as made:
            while data := source.read(_AT_ONCE):
                made.write(data)
                done += len(data)
                yield Progress(tr("Copying {name}", name=target.name), done, parcel.bytes, "bytes")
        part.replace(target)
        with beside.open("x", encoding="utf-8") as text:
            text.write(modelfile)
    except OSError as error:
        raise LabError(
            tr("{path} cannot be written: {why}.", path=target, why=error.strerror or error),
            tr("Choose another folder."),
        ) from error
    finally:
        part.unlink(missing_ok=True)
    yield Finished(tr("The files are in {folder}.", folder=target.parent), target)


@dataclass(frozen=True, eq=False)
class Tried:
    """How a trial came out, with the bytes of both texts' tokens."""

    agreement: Agreement
    ours: tuple[bytes, ...]
    theirs: tuple[bytes, ...]


def try_here(
    models: Models, parcel: Parcel, program: tuple[str, Path], modelfile: str, prompt: str, tokens: int
) -> Iterator[Any]:
    """The stage: write some tokens here, then let another program do it.

    Args:
        models: Where the model is taken from.
        parcel: The file.
        program: "llama-completion" or "ollama", and where it lies.
        modelfile: For Ollama.
        prompt: What both go on from; in Ollama a model with a chat template is asked it.
        tokens: To be written.

    Raises:
        LabError: There is no prompt; while it runs: the model cannot be read, or the program failed.
    """
    if not prompt.strip():
        raise LabError(tr("There is no prompt."), tr("Type at least one character."))
    return _try(models, parcel, program, modelfile, prompt, tokens)


def _try(
    models: Models, parcel: Parcel, program: tuple[str, Path], modelfile: str, prompt: str, tokens: int
) -> Iterator[Any]:
    from core.model.chat import chat_ids
    from core.quantization.elsewhere import try_llama_cpp, try_ollama
    from core.quantization.quantize import first_token
    from core.quantization.side_by_side import Writer, write_side_by_side

    loaded = yield from pass_on(models.take(parcel.file, parcel.subject.title))
    try:
        tokenizer: Tokenizer = loaded.needed_tokenizer()
        name, path = program
        if name == "ollama" and parcel.turns is not None:
            ids = chat_ids(tokenizer, [{"role": "user", "content": prompt}])
        else:
            begin = first_token(loaded.source, tokenizer)
            ids = ([] if begin is None else [begin]) + tokenizer.encode(prompt)
        room = max(1, min(tokens, parcel.context - len(ids)))
        writer = Writer(parcel.subject.title, loaded.model, tuple(ids))
        stage = write_side_by_side(loaded.model, [writer], room, tokenizer.end_ids)
        texts = yield from pass_on(stage)
        ours = [token.id for token in texts[0].tokens if token.id not in tokenizer.end_ids]
        if name == "ollama":
            trial = try_ollama(path, modelfile, parcel.file, prompt, ours, tokenizer)
        else:
            trial = try_llama_cpp(path, parcel.file, prompt, ours, tokenizer)
        agreement: Agreement = yield from pass_on(trial)
        spelled = [tuple(tokenizer.token_bytes(id_) for id_ in ids)
                   for ids in (agreement.ours, agreement.theirs)]  # fmt: skip
        yield Finished("", Tried(agreement, *spelled))
    finally:
        models.give_back(loaded)


def has_llama_cpp_python() -> bool:
    """Whether llama-cpp-python is installed beside this app; it is looked for, not loaded."""
    return importlib.util.find_spec("llama_cpp") is not None


def which(name: str) -> str | None:
    """Where a program lies that is on the PATH."""
    return shutil.which(name)
