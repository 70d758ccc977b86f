"""A GGUF file in other programs: their command lines, and a trial whose tokens are held against ours.

A trial runs a program that is on this machine as a process of its own, without a shell, for a bounded time
and with bounded output; closing the stage ends it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer

PROGRAMS = ("llama-completion", "llama-cli", "llama-server", "llama-quantize", "ollama")
SECONDS = 120.0  # that a program may take
OUTPUT_AT_MOST = 1 << 16  # bytes that are read of it
TRIAL = "llmlab-trial"  # what a model is called in Ollama while it is tried
_POLL = 0.1  # s
_END = "[end of text]"  # which llama.cpp writes where a text ends


@dataclass(frozen=True)
class Command:
    """A command line: what it is for, and its words; the first is the program."""

    about: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """As it is typed in a terminal of this system."""
        return as_line(self.words)


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit status, and the beginning of what it wrote."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class Agreement:
    """Tokens of ours and of another program's, from the same prompt.

    Attributes:
        program: Which one.
        ours, theirs: Tokens.
        same: How many agree before the first that does not.
    """

    program: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    same: int

    @property
    def whole(self) -> bool:
        """Whether they agree as far as the shorter one goes."""
        return self.same == min(len(self.ours), len(self.theirs))


def as_line(words: Sequence[str]) -> str:
    """Words as they are typed in a terminal.

    >>> as_line(["llama-server", "-m", "my file.gguf"]) if sys.platform != "win32" else "posix only"
    "llama-server -m 'my file.gguf'"
    """
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def find_programs(which: Callable[[str], str | None] = shutil.which) -> dict[str, Path | None]:
    """Where each of `PROGRAMS` lies; None where it is not on the PATH."""
    found = {name: which(name) for name in PROGRAMS}
    return {name: Path(path) if path else None for name, path in found.items()}


def command_lines(
    file: Path, name: str, prompt: str, tokens: int, context: int, chats: bool
) -> tuple[Command, ...]:
    """What to type to run a file.

    Args:
        file: The GGUF file.
        name: Of the model in Ollama.
        prompt: To go on from.
        tokens: To be written.
        context: Tokens that are looked back on.
        chats: Whether the model has a chat template.
    """
    where, looks_back = str(file), str(context)
    beside, smaller = str(file.with_name("Modelfile")), str(file.with_name("smaller.gguf"))
    lines = [Command("Go on from a text", completion(file, prompt, tokens))]
    if chats:
        lines.append(Command("Chat", ("llama-cli", "-m", where, "-c", looks_back)))
    lines += [
        Command("Server and page", ("llama-server", "-m", where, "-c", looks_back)),
        Command("Tell Ollama", ("ollama", "create", name, "-f", beside)),
        Command("Run in Ollama", ("ollama", "run", name, prompt)),
        Command("Fewer bits still", ("llama-quantize", "--allow-requantize", where, smaller, "Q4_0")),
    ]
    return tuple(lines)


def completion(file: Path, prompt: str, tokens: int, program: str = "llama-completion") -> tuple[str, ...]:
    """llama.cpp's words for a text that is gone on from greedily."""
    return (
        program, "-m", str(file), "-p", prompt, "-n", str(tokens), "--temp", "0", "-no-cnv",
        "--no-display-prompt", "--no-warmup",
    )  # fmt: skip


def try_llama_cpp(
    program: Path,
    file: Path,
    prompt: str,
    ours: Sequence[int],
    tokenizer: Tokenizer,
    seconds: float = SECONDS,
) -> Iterator[Progress | Finished[Agreement]]:
    """Let llama.cpp go on from a prompt, and compare with our own tokens.

    Args:
        program: Its llama-completion.
        file: The GGUF file.
        prompt: What both go on from.
        ours: What we wrote, greedily.
        tokenizer: Of the model.
        seconds: That it may take.

    Raises:
        LabError: While it runs: it failed, or took too long.
    """
    return _try_llama_cpp(program, file, prompt, tuple(ours), tokenizer, seconds)


def _try_llama_cpp(
    program: Path, file: Path, prompt: str, ours: tuple[int, ...], tokenizer: Tokenizer, seconds: float
) -> Iterator[Progress | Finished[Agreement]]:
    words = completion(file, prompt, len(ours), str(program))
    ran = yield from run_program(words, seconds)
    yield _compared(program.name, ran.output, ours, tokenizer)


def try_ollama(
    program: Path,
    modelfile: str,
    file: Path,
    prompt: str,
    ours: Sequence[int],
    tokenizer: Tokenizer,
    seconds: float = SECONDS,
) -> Iterator[Progress | Finished[Agreement]]:
    """The same with Ollama: the model is made known under a name of its own, run, and taken away again.

    Raises:
        LabError: While it runs: Ollama failed, or took too long.
    """
    return _try_ollama(program, modelfile, file, prompt, tuple(ours), tokenizer, seconds)


def _try_ollama(
    program: Path,
    modelfile: str,
    file: Path,
    prompt: str,
    ours: tuple[int, ...],
    tokenizer: Tokenizer,
    seconds: float,
) -> Iterator[Progress | Finished[Agreement]]:
    with tempfile.TemporaryDirectory(prefix="llmlab-") as folder:
        lines = [f"FROM {file}" if line.startswith("FROM ") else line for line in modelfile.splitlines()]
        lines = [line for line in lines if not line.startswith("PARAMETER temperature")]
        lines += ["PARAMETER temperature 0", f"PARAMETER num_predict {len(ours)}"]
        recipe = Path(folder) / "Modelfile"
        recipe.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield from run_program((str(program), "create", TRIAL, "-f", str(recipe)), seconds)
        try:
            ran = yield from run_program((str(program), "run", TRIAL, prompt), seconds)
        finally:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run((str(program), "rm", TRIAL), timeout=10, capture_output=True, check=False)
    yield _compared(program.name, ran.output, ours, tokenizer)


def _compared(program: str, output: str, ours: tuple[int, ...], tokenizer: Tokenizer) -> Finished[Agreement]:
    """Both texts in tokens, white space at their ends aside."""
    text = output.strip().removesuffix(_END).strip()
    mine = tuple(tokenizer.encode(tokenizer.decode_text(ours).strip()))
    theirs = tuple(tokenizer.encode(text))
    same = 0
    while same < min(len(mine), len(theirs)) and mine[same] == theirs[same]:
        same += 1
    made = Agreement(program, mine, theirs, same)
    return Finished(f"The first {same} of {len(mine)} tokens agree.", made)


def run_program(words: Sequence[str], seconds: float) -> Generator[Progress, None, Ran]:
    """Run a program to its end and give what it wrote.

    Raises:
        LabError: It cannot be started, took longer, or ended with a status other than 0.
    """
    name = Path(words[0]).name
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                list(words), stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                start_new_session=sys.platform != "win32",
            )  # fmt: skip
        except OSError as error:
            raise LabError(
                f"{name} cannot be started: {error.strerror or error}.", "Check that it runs in a terminal."
            ) from error
        began = time.monotonic()
        try:
            while process.poll() is None:
                spent = time.monotonic() - began
                if spent > seconds:
                    raise LabError(
                        f"{name} has not ended after {seconds:,.0f} s.",
                        "Ask for fewer tokens, or run it in a terminal.",
                    )
                yield Progress(f"Waiting for {name}", round(spent), None, "s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        finally:
            _end(process)
        ran = Ran(process.returncode, _read(out), _read(errors))
    if ran.status != 0:
        said = (ran.errors.strip() or ran.output.strip()).splitlines()
        raise LabError(
            f"{name} ended with status {ran.status}: {said[-1][:200] if said else 'it said nothing'}",
            "Run its command line in a terminal to see more.",
        )
    return ran


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(OUTPUT_AT_MOST).decode("utf-8", "replace")
