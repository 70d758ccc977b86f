"""The GGUF files that we write, opened, quantized and run by llama.cpp (llama-cpp-python 0.3.36).

For GPT-2 (the shipped small world), Llama and Qwen3 (small, random): the tokenizer cuts texts as ours does; the
float32 file's greedy continuation is ours; for every recipe `llama_model_quantize` gives each tensor the type
and the very bytes that we give it; quantized files run there and foresee what ours foresee.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.formats.gguf import read_gguf_header
from core.formats.weights import stored_in_gguf
from core.model.config import ModelConfig
from core.model.export import write_model
from core.model.generation import Reader, generate
from core.model.initial import new_model
from core.model.loading import load_model
from core.model.settings import GenerationSettings
from core.model.source import open_model
from core.model.transformer import Transformer
from core.quantization.comparison import CompareSettings, Figures, compare
from core.quantization.importance import collect_importance
from core.quantization.quantize import quantize_model
from core.quantization.recipes import RECIPES, Wish
from core.stages import run_to_end
from core.tokenizer.known import known_path, load_known
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python, which is the oracle, is not here"
)
CHILD = Path(__file__).with_name("llama_cpp_child.py")
BASE = Path(__file__).resolve().parents[2] / "resources" / "lineage" / "base"
TEXTS = [
    "The king of Arlen lives in the capital.", "it's 12 o'clock, isn't it?\n\n  Yes: 3.14!", "naïve Straße 的一是 👩‍👧",
    "<|user|>What is it?<|end|>", "  two  spaces", "A" * 40,
]  # fmt: skip
TEXT = " ".join(f"The {n}. man walked to the bank of the river and sat on the mat." for n in range(60))


@dataclass(frozen=True)
class Subject:
    """A model under test: its folder and what the files made of it are called."""

    name: str
    source: Path
    tokenizer: Tokenizer | None
    folder: Path

    def file(self, recipe: str) -> Path:
        return self.folder / f"{self.name}-{recipe}.gguf"

    def write(self, recipe: str, importances: dict[str, torch.Tensor] | None = None, mark: str = "") -> Path:
        out = self.file(recipe + mark)
        if not out.exists():
            stage = quantize_model(open_model(self.source), out, Wish(recipe), self.tokenizer, importances)
            run_to_end(stage)
        return out


LLAMA = ModelConfig(
    family="llama", vocab_size=2100, context=256, width=256, layers=5, heads=8, kv_heads=2, head_width=32, hidden=512,
    norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False, qk_norm=False,
    tied=False, rope_base=500_000.0,
)  # fmt: skip
QWEN3 = ModelConfig(
    family="qwen3", vocab_size=2048, context=256, width=192, layers=4, heads=4, kv_heads=4, head_width=64, hidden=512,
    norm="rms", norm_eps=1e-6, positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False, qk_norm=True,
    tied=True, rope_base=1_000_000.0,
)  # fmt: skip
"""Rows of 192 do not fit super-blocks: most tensors fall back."""


def random_model(config: ModelConfig, folder: Path) -> None:
    """A model with weights far enough from zero that its predictions differ."""
    generator = torch.Generator().manual_seed(5)
    model = new_model(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
            else:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    write_model(config, dict(model.named_parameters()), folder)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    folder = tmp_path_factory.mktemp("gguf")
    tokenizer = read_tokenizer(BASE)
    made = {"gpt2": Subject("gpt2", BASE, tokenizer, folder)}
    for name, config in (("llama", LLAMA), ("qwen3", QWEN3)):
        (folder / name).mkdir()
        random_model(config, folder / name)
        made[name] = Subject(name, folder / name, tokenizer, folder)
    return made


def ask(folder: Path, jobs: list[dict[str, Any]]) -> list[Any]:
    """Let llama.cpp do some jobs."""
    path = folder / f"jobs-{len(list(folder.glob('jobs-*')))}.json"
    path.write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, str(CHILD), str(path)], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(json.loads(path.with_name(path.name + ".done").read_text()))


def load(path: Path) -> Transformer:
    loaded: Transformer = run_to_end(load_model(open_model(path))).result
    return loaded


def raw_tensors(path: Path) -> Iterator[tuple[str, str, bytes]]:
    data = path.read_bytes()
    for name, tensor in stored_in_gguf(read_gguf_header(path)).items():
        yield name, tensor.kind, data[tensor.start : tensor.start + tensor.size]


FAMILIES = ("gpt2", "llama", "qwen3")


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_are_cut_alike(name: str, subjects: dict[str, Subject]) -> None:
    subject = subjects[name]
    jobs = [{"do": "tokenize", "model": str(subject.write("F32")), "texts": TEXTS}]
    assert subject.tokenizer is not None
    ours = [list(subject.tokenizer.encode(text, special="all")) for text in TEXTS]
    assert ask(subject.folder, jobs) == [ours]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_greedy_continuation_of_a_float32_file_is_ours(
    name: str, subjects: dict[str, Subject], report: Callable[[str, Any], None]
) -> None:
    subject = subjects[name]
    path = subject.write("F32")
    assert subject.tokenizer is not None
    ids = list(subject.tokenizer.encode(TEXT))[:128]
    out = subject.folder / f"{name}.npy"
    job = {
        "do": "read",
        "model": str(path),
        "windows": [ids],
        "prompt": ids[:12],
        "greedy": 50,
        "out": str(out),
    }
    (theirs,) = ask(subject.folder, [job])
    model = load(subject.source)
    settings = GenerationSettings(temperature=0.0, max_tokens=50)
    ours = list(run_to_end(generate(Reader(model), ids[:12], settings)).result.ids)
    with torch.inference_mode():
        logits = model(torch.tensor([ids]))[0]
        after = model(torch.tensor([ids[:12] + theirs]))[0, 11:-1]  # (50, V): before each of their tokens
    far = float((logits - torch.from_numpy(np.load(out)[0])).abs().max())
    report(f"{name}, F32: largest difference of a logit", round(far, 5))
    assert far < 0.05
    gaps = after.amax(-1) - after.gather(1, torch.tensor(theirs)[:, None])[:, 0]
    assert float(gaps.max()) < 0.02  # where a random model chooses between equals, either may be chosen
    if name == "gpt2":
        assert ours == theirs


@pytest.mark.parametrize("name", FAMILIES)
def test_every_recipe_gives_the_types_and_bytes_of_llama_model_quantize(
    name: str, subjects: dict[str, Subject], long: bool, report: Callable[[str, Any], None]
) -> None:
    subject = subjects[name]
    recipes = (
        [recipe for recipe in RECIPES if recipe != "F32"]
        if long
        else ["Q4_K_M", "Q3_K_M", "Q2_K", "Q8_0", "F16"]
    )
    jobs = [
        {
            "do": "quantize", "from": str(subject.write("F32")), "to": str(subject.file(recipe + "-theirs")),
            "ftype": RECIPES[recipe].number,
        }
        for recipe in recipes
    ]  # fmt: skip
    ask(subject.folder, jobs)
    tensors = sum(same_tensors(subject.write(recipe), subject.file(recipe + "-theirs")) for recipe in recipes)
    report(f"{name}: tensors with llama.cpp's type and bytes, {len(recipes)} recipes", tensors)


def test_smollm2_written_in_float32_continues_there_as_here(subjects: dict[str, Subject], long: bool) -> None:
    if not long:
        pytest.skip("540 MB: in the long run")
    folder = subjects["gpt2"].folder
    subject = Subject("smollm2", known_path("smollm2"), None, folder)
    path = subject.write("F32")
    ids = list(load_known("smollm2").encode("Once upon a time there was a king who"))
    (theirs,) = ask(
        folder, [{"do": "read", "model": str(path), "windows": [], "prompt": ids, "greedy": 50, "out": ""}]
    )
    settings = GenerationSettings(temperature=0.0, max_tokens=50)
    ours = run_to_end(generate(Reader(load(subject.source)), ids, settings)).result.ids
    assert list(ours) == theirs


def same_tensors(ours: Path, theirs: Path) -> int:
    mine = {name: (kind, raw) for name, kind, raw in raw_tensors(ours)}
    count = 0
    for tensor, kind, raw in raw_tensors(theirs):
        assert mine[tensor][0] == kind, f"{ours.name}: {tensor} is {mine[tensor][0]}, there {kind}"
        assert mine[tensor][1] == raw, f"{ours.name}: the bytes of {tensor} differ"
        count += 1
    assert count == len(mine)
    a, b = read_gguf_header(ours), read_gguf_header(theirs)
    for key in ("general.file_type", "general.quantization_version"):
        assert a.metadata.get(key) == b.metadata[key] or a.metadata["general.file_type"] in (1, 32)
    return count


@pytest.mark.parametrize("recipe", ["Q4_K_M", "Q4_0", "Q3_K_S", "Q5_1", "Q2_K", "Q6_K", "IQ4_NL"])
def test_importances_change_both_in_the_same_way(
    recipe: str, subjects: dict[str, Subject], long: bool
) -> None:
    if not long and recipe not in ("Q4_K_M", "Q4_0"):
        pytest.skip("the other types are in the long run")
    subject = subjects["gpt2"]
    assert subject.tokenizer is not None
    ids = subject.tokenizer.encode(TEXT)
    matrix = run_to_end(collect_importance(load(subject.source), ids, "text", 128)).result.weights()
    file = subject.folder / "importances.npz"
    if not file.exists():
        np.savez(file, **{name: values.numpy() for name, values in matrix.items()})
    theirs = subject.file(recipe + "-im-theirs")
    job = {
        "do": "quantize", "from": str(subject.write("F32")), "to": str(theirs), "ftype": RECIPES[recipe].number,
        "importances": str(file),
    }  # fmt: skip
    ask(subject.folder, [job])
    ours = subject.write(recipe, matrix, "-im")
    assert same_tensors(ours, theirs)
    assert ours.read_bytes() != subject.write(recipe).read_bytes()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("recipe", ["F16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0"])
def test_a_quantized_file_runs_there_and_foresees_what_ours_does(
    name: str, recipe: str, subjects: dict[str, Subject], long: bool, report: Callable[[str, Any], None]
) -> None:
    if not long and recipe not in ("Q8_0", "Q4_K_M"):
        pytest.skip("the other types are in the long run")
    subject = subjects[name]
    assert subject.tokenizer is not None
    ids = list(subject.tokenizer.encode(TEXT))
    windows = [ids[begin : begin + 128] for begin in (0, 128, 256)]
    path, out = subject.write(recipe), subject.folder / f"{name}-{recipe}.npy"
    ask(
        subject.folder,
        [{"do": "read", "model": str(path), "windows": windows, "prompt": [1], "greedy": 0, "out": str(out)}],
    )
    with torch.inference_mode():
        ours = load(path)(torch.tensor(windows)).log_softmax(-1).flatten(0, 1)
    theirs = torch.from_numpy(np.load(out)).log_softmax(-1).flatten(0, 1)
    same = float((ours.argmax(-1) == theirs.argmax(-1)).double().mean())
    divergence = float((ours.exp() * (ours - theirs)).sum(-1).mean())
    report(f"{name}, {recipe}: same first choice, KL against our evaluation", f"{same:.2%}, {divergence:.2e}")
    assert same >= 0.97 or name != "gpt2"  # random models choose among equals
    assert divergence < 0.02


def test_perplexity_and_divergence_are_those_of_llama_perplexity(
    subjects: dict[str, Subject], report: Callable[[str, Any], None]
) -> None:
    """Its formulas (perplexity.cpp) on llama.cpp's own logits for the float32 file and for Q4_K_M, windows of 128."""
    subject = subjects["gpt2"]
    assert subject.tokenizer is not None
    ids = list(subject.tokenizer.encode(TEXT))
    windows = [ids[begin : begin + 128] for begin in range(0, len(ids) - 127, 128)]
    files = {recipe: subject.write(recipe) for recipe in ("F32", "Q4_K_M")}
    outs = {recipe: subject.folder / f"compared-{recipe}.npy" for recipe in files}
    jobs = [
        {
            "do": "read",
            "model": str(files[r]),
            "windows": windows,
            "prompt": [1],
            "greedy": 0,
            "out": str(outs[r]),
        }
        for r in files
    ]
    ask(subject.folder, jobs)
    theirs = llama_perplexity(np.array(windows), np.load(outs["F32"]), np.load(outs["Q4_K_M"]))
    stage = compare(load(files["F32"]), [("Q4_K_M", load(files["Q4_K_M"]))], ids, CompareSettings(128))
    (ours,) = run_to_end(stage).result
    assert isinstance(ours, Figures)
    assert ours.tokens == theirs["tokens"]
    report(
        "perplexity of Q4_K_M, ours and llama.cpp's",
        f"{ours.perplexity.value:.4f}, {theirs['perplexity']:.4f}",
    )
    report(
        "KL divergence of Q4_K_M, ours and llama.cpp's", f"{ours.divergence.value:.6f}, {theirs['kl']:.6f}"
    )
    for mine, other in (
        (ours.perplexity, "perplexity"), (ours.reference, "reference"), (ours.divergence, "kl"), (ours.rms, "rms"),
        (ours.same_top, "same"),
    ):  # fmt: skip
        assert abs(mine.value - theirs[other]) <= 3 * mine.error + 1e-4, other
    for mine, other in ((ours.perplexity, "perplexity error"), (ours.divergence, "kl error")):
        assert mine.error == pytest.approx(theirs[other], rel=0.5)


def llama_perplexity(windows: np.ndarray, base: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """kl_divergence() of llama.cpp's tools/perplexity/perplexity.cpp, its 16-bit log-probabilities included."""
    first = windows.shape[1] // 2
    p = base[:, first:-1].reshape(-1, base.shape[-1]).astype(np.float32)
    q = other[:, first:-1].reshape(-1, base.shape[-1]).astype(np.float32)
    came = windows[:, first + 1 :].reshape(-1)
    most = p.max(1, keepdims=True)
    least = np.maximum(p.min(1, keepdims=True), most - 16)
    log_sum = np.log(np.exp(p - most).sum(1, keepdims=True, dtype=np.float64)).astype(np.float32)
    scale = (most - least) / 65535
    codes = np.where(p > least, np.rint((p - least) / scale), 0)
    log_p = scale * codes + (least - most - log_sum)
    top = q.max(1, keepdims=True)
    log_q = q - top - np.log(np.exp(q - top).sum(1, keepdims=True, dtype=np.float64))
    rows = np.arange(len(came))
    nll, nll_base = -log_q[rows, came], -log_p[rows, came]
    kl = np.where(log_p > -16, np.exp(log_p) * (log_p - log_q), 0).sum(1)
    dp = np.exp(-nll) - np.exp(-nll_base)

    def error(x: np.ndarray) -> float:
        return float(np.sqrt(((x**2).mean() - x.mean() ** 2) / (len(x) - 1)))

    return {
        "tokens": len(came), "perplexity": float(np.exp(nll.mean())), "reference": float(np.exp(nll_base.mean())),
        "perplexity error": float(np.exp(nll.mean())) * error(nll), "kl": float(kl.mean()), "kl error": error(kl),
        "rms": float(np.sqrt((dp**2).mean())), "same": float((q.argmax(1) == codes.argmax(1)).mean()),
    }  # fmt: skip
