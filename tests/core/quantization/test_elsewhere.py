"""A file in other programs: Modelfiles, command lines, and trials with stand-ins for the programs."""

from __future__ import annotations

import dataclasses
import shlex
import stat
import sys
import time
from pathlib import Path

import pytest

from core.problems import LabError
from core.quantization.elsewhere import (
    command_lines,
    find_programs,
    run_program,
    try_llama_cpp,
    try_ollama,
)
from core.quantization.modelfile import modelfile, turns_of
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer

LINEAGE = Path(__file__).resolve().parents[3] / "resources" / "lineage"
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are shell scripts")


def stand_in(folder: Path, script: str) -> Path:
    """A program that does what a script says."""
    path = folder / "llama-completion"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_template_is_said_in_the_words_of_ollama() -> None:
    """SmolLM2's own: a default for the system, ChatML around each turn."""
    tokenizer = dataclasses.replace(read_tokenizer(LINEAGE / "base"), chat_template=CHATML)
    turns = turns_of(tokenizer, adds_bos=False)
    assert turns is not None
    assert turns.default_system == "You help."
    assert turns.go == (
        "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ range .Messages }}"
        '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n'
        '{{ else if eq .Role "assistant" }}{{ .Content }}<|im_end|>\n{{ end }}{{ end }}'
    )
    text = modelfile("m.gguf", turns, ["<|im_end|>"], 2048)
    assert 'SYSTEM """You help."""' in text
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert text.splitlines()[1] == "FROM ./m.gguf"


def test_a_model_that_lets_no_system_speak_has_a_template_without_one() -> None:
    tokenizer = read_tokenizer(LINEAGE / "sft")
    turns = turns_of(tokenizer, adds_bos=False)
    assert turns is not None
    assert turns.begin == "<|endoftext|>"
    assert "System" not in turns.go
    with_bos = turns_of(tokenizer, adds_bos=True)
    assert with_bos is not None
    assert with_bos.begin == ""  # whoever runs the model adds it


def test_a_template_that_cannot_be_said_so_is_left_out() -> None:
    base = read_tokenizer(LINEAGE / "base")
    assert turns_of(dataclasses.replace(base, chat_template=""), False) is None
    counted = "{% for m in messages %}{{ loop.index }}{{ m['content'] }}{% endfor %}"
    assert turns_of(dataclasses.replace(base, chat_template=counted), False) is None
    braces = "{% for m in messages %}{{ '{' + '{' }}{{ m['content'] }}{% endfor %}"
    assert turns_of(dataclasses.replace(base, chat_template=braces), False) is None


def test_command_lines_quote_what_a_shell_would_split() -> None:
    lines = command_lines(Path("my files") / "m.gguf", "mine", 'say "hi"; rm', 12, 256, chats=False)
    words = [shlex.split(command.line) for command in lines]
    assert words[0][:5] == ["llama-completion", "-m", str(Path("my files/m.gguf")), "-p", 'say "hi"; rm']
    assert {line[0] for line in words} == {"llama-completion", "llama-server", "ollama", "llama-quantize"}
    assert find_programs(lambda name: None)["ollama"] is None


@posix
def test_tokens_of_another_program_are_held_against_ours(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(LINEAGE / "base")
    ours = tokenizer.encode(" Norland is Norport. It is old.")
    same = stand_in(tmp_path, "echo ' Norland is Norport. It is old. [end of text]'")
    made = run_to_end(try_llama_cpp(same, tmp_path / "m.gguf", "The capital of", ours, tokenizer)).result
    assert made.whole
    assert made.same == len(made.ours)
    other = stand_in(tmp_path, "echo ' Norland is Norport. He'")
    made = run_to_end(try_llama_cpp(other, tmp_path / "m.gguf", "The capital of", ours, tokenizer)).result
    assert not made.whole
    assert tokenizer.decode_text(made.ours[: made.same]) == "Norland is Norport."


@posix
def test_ollama_forgets_the_model_that_was_tried(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(LINEAGE / "base")
    log = tmp_path / "log"
    program = stand_in(
        tmp_path, f'echo "$1 $2" >> {log}; [ "$1" = run ] && echo " yes"; cat "$4" >> {log} 2>&1; true'
    )
    ours = tokenizer.encode(" yes")
    text = modelfile("m.gguf", None, [], 256)
    made = run_to_end(try_ollama(program, text, tmp_path / "m.gguf", "Hi", ours, tokenizer)).result
    assert made.whole
    said = log.read_text()
    assert "create llmlab-trial" in said
    assert "rm llmlab-trial" in said
    assert f"FROM {tmp_path / 'm.gguf'}" in said
    assert f"PARAMETER temperature 0\nPARAMETER num_predict {len(ours)}" in said


@posix
def test_a_program_that_fails_hangs_or_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    failing = stand_in(tmp_path, "echo 'unknown model' >&2; exit 3")
    with pytest.raises(LabError, match="ended with status 3: unknown model"):
        list(run_program([str(failing)], 5))
    with pytest.raises(LabError, match="cannot be started"):
        list(run_program([str(tmp_path / "nothing")], 5))
    hanging = stand_in(tmp_path, "exec sleep 60")
    began = time.monotonic()
    with pytest.raises(LabError, match="has not ended after 0 s"):
        list(run_program([str(hanging)], 0.2))
    stage = run_program([str(hanging)], 60)
    next(stage)
    stage.close()
    assert time.monotonic() - began < 10
