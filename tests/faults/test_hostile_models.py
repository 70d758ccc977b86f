"""Models that are damaged or made to harm: refused with their place, or loaded as what they are."""

from __future__ import annotations

import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from tests.faults.bounds import attempt, check_cost, check_message, nothing_left_behind
from tests.faults.small_models import gguf, gpt2, header_value, safetensors


def load(path: Path) -> Transformer:
    return run_to_end(load_model(open_model(path))).result  # type: ignore[no-any-return]


def put(header: dict[str, Any], name: str, **facts: Any) -> None:
    header[name] = header[name] | facts


def twice(old: str, new: str) -> bytes:
    return json.dumps(header_value()[0]).replace(old, new, 1).encode()


SAFETENSORS: dict[str, tuple[Callable[[], bytes], str]] = {
    "H1 empty": (lambda: b"", "ends at byte 0"),
    "H2 four bytes": (lambda: b"\x01\0\0\0", "ends at byte 4"),
    "H4 cut in the data": (lambda: safetensors(cut=1), "is cut short"),
    "H5 bytes behind the end": (lambda: safetensors(tail=b"\0"), "goes on behind them"),
    "H6 random": (lambda: random.Random(1).randbytes(4096), "a header of"),
    "T1 no header": (lambda: struct.pack("<Q", 0) + b"{}", "a header of 0 bytes"),
    "T1 header of one byte": (lambda: struct.pack("<Q", 1) + b"{", "a header of 1 bytes"),
    "T1 header of 2^64 - 1": (lambda: struct.pack("<Q", 2**64 - 1) + b"{}", "18,446,744,073,709,551,615"),
    "T1 header too long": (lambda: struct.pack("<Q", 9 << 20) + b"{" + b" " * (9 << 20), "above the limit"),
    "T2 a list": (lambda: safetensors(raw=b"[]"), "not with {"),
    "T2 not UTF-8": (lambda: safetensors(raw=b'{"\xff":1}'), "UTF-8"),
    "T2 byte order mark": (lambda: safetensors(raw=b"\xef\xbb\xbf{}"), "not with {"),
    "T2 leading space": (lambda: safetensors(raw=b" {}"), "not with {"),
    "T2 not JSON": (lambda: safetensors(raw=b"{]"), "not JSON"),
    "T3 a name twice": (lambda: safetensors(raw=twice('"wpe.weight"', '"wte.weight"')), "a second time"),
    "T3 a field twice": (lambda: safetensors(raw=twice('"dtype": "F32"', '"dtype": "F32", "dtype": "I32"')), "a second time"),
    "T4 deep": (lambda: safetensors(raw=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "100"),
    "T5 a million tensors": (
        lambda: safetensors(raw=b"{" + b",".join(b'"%d":{}' % i for i in range(200_000)) + b"}"), "more than 65,536"),
    "T6 5,000 digits": (lambda: safetensors(raw=twice("[0, 80]", f"[0, {'9' * 5000}]")), "digits"),
    "T6 a fraction": (lambda: safetensors(lambda h: put(h, "wte.weight", data_offsets=[0, 80.0])), "no begin and end"),
    "T6 negative": (lambda: safetensors(lambda h: put(h, "wte.weight", data_offsets=[-1, 79])), "no begin and end"),
    "T6 text": (lambda: safetensors(lambda h: put(h, "wte.weight", data_offsets=["0", "80"])), "no begin and end"),
    "T6 yes": (lambda: safetensors(lambda h: put(h, "wte.weight", shape=[True, 20])), "the shape"),
    "T7 begin behind end": (lambda: safetensors(lambda h: put(h, "wte.weight", data_offsets=[80, 0])), "no begin and end"),
    "T8 overlap": (lambda: safetensors(lambda h: put(h, "wpe.weight", data_offsets=[40, 168])), "was expected"),
    "T9 hole": (lambda: safetensors(lambda h: put(h, "h.0.mlp.c_proj.bias", data_offsets=[99996, 100012])), "was expected"),
    "T10 an empty tensor": (
        lambda: safetensors(lambda h: h.update(x={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})), 'the shape "[0]"'),
    "T11 shape too large": (lambda: safetensors(lambda h: put(h, "wte.weight", shape=[6, 4])), "needs 96 bytes and has 80"),
    "T12 product wraps": (lambda: safetensors(lambda h: put(h, "wte.weight", shape=[2**32, 2**32, 5])), "needs"),
    "T12 nine dimensions": (lambda: safetensors(lambda h: put(h, "wte.weight", shape=[20, *[1] * 8])), "the shape"),
    "T13 unknown type": (lambda: safetensors(lambda h: put(h, "wte.weight", dtype="F4")), "the type"),
    "T13 type of no weights": (lambda: safetensors(lambda h: put(h, "wte.weight", dtype="I32")), "the type I32"),
    "T14 metadata of numbers": (lambda: safetensors(lambda h: h.update(__metadata__={"a": 1})), "__metadata__"),
    "T14 metadata is a list": (lambda: safetensors(lambda h: h.update(__metadata__=[])), "__metadata__"),
    "T15 NaN": (lambda: safetensors(raw=twice("[0, 80]", "[NaN, 80]")), "NaN"),
    "T15 infinite": (lambda: safetensors(raw=twice("[0, 80]", "[0, 1e999]")), "1e999"),
    "a field too many": (lambda: safetensors(lambda h: put(h, "wte.weight", more=1)), "nothing else"),
    "a name of nothing": (lambda: safetensors(lambda h: h.update({"": h.pop("wte.weight")})), "printable"),
    "a name that acts": (lambda: safetensors(lambda h: h.update({"\x1b[2J": h.pop("wte.weight")})), "printable"),
    "a tensor is missing": (lambda: safetensors(lambda h: h.update(x=h.pop("wte.weight"))), "no tensor wte.weight"),
    "a tensor has another shape": (lambda: safetensors(lambda h: put(h, "wte.weight", shape=[4, 5])), "the shape [4, 5]"),
    "P1 a pickle": (lambda: b"\x80\x04\x95" + bytes(5) + b"}" * 60, "a header of"),
    "P1 a zip": (lambda: b"PK\x03\x04" + bytes(60), "a header of"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAFETENSORS)
def test_hostile_safetensors(name: str, tmp_path: Path) -> None:
    make, says = SAFETENSORS[name]
    folder = gpt2(tmp_path / "m", weights=make())
    with nothing_left_behind(folder):
        outcome, cost = attempt(lambda: load(folder))
    check_cost(cost)
    assert isinstance(outcome, LabError), f"it loaded: {outcome}"
    check_message(outcome, says)


def config_is(**facts: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: value.update(facts)


CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown model": (config_is(model_type="mamba"), '"mamba"'),
    "no model": (lambda value: {"a": 1}, "None"),
    "a list": (lambda value: [1], "no object"),
    "G22 heads do not divide": (config_is(n_head=3), "shape"),
    "G22 no heads": (config_is(n_head=0), "the number of heads is 0"),
    "G22 negative width": (config_is(n_embd=-4), "the width is -4"),
    "G22 vocabulary": (config_is(vocab_size=6), "the shape [5, 4], not [6, 4]"),
    "G23 2^31 layers": (config_is(n_layer=2**31), "the number of layers is 2,147,483,648"),
    "G23 999 layers": (config_is(n_layer=999), "announces 999 layers"),
    "a text for a number": (config_is(n_layer="1"), "n_layer"),
    "a truth for a number": (config_is(n_layer=True), "n_layer"),
    "an epsilon of 2": (config_is(layer_norm_epsilon=2.0), "epsilon"),
    "another activation": (config_is(activation_function="swish"), "activation_function"),
    "scores not scaled": (config_is(scale_attn_weights=False), "scale_attn_weights"),
    "cross attention": (config_is(add_cross_attention=True), "add_cross_attention"),
    "quantized weights": (config_is(quantization_config={"bits": 4}), "quantization_config"),
    "tied is a text": (config_is(tie_word_embeddings="yes"), "tie_word_embeddings"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_hostile_configs(name: str, tmp_path: Path) -> None:
    change, says = CONFIGS[name]
    folder = gpt2(tmp_path / "m", config=change)
    outcome, cost = attempt(lambda: load(folder))
    check_cost(cost)
    assert isinstance(outcome, LabError), f"it loaded: {outcome}"
    check_message(outcome, says)


def keys(**facts: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: value.update(
        {f"llama.{key.replace('__', '.')}": fact for key, fact in facts.items()}
    )


GGUFS: dict[str, tuple[Callable[[], bytes], str]] = {
    "G22 unknown architecture": (lambda: gguf(lambda k: k.update({"general.architecture": "mamba"})), '"mamba"'),
    "G22 no heads": (lambda: gguf(keys(attention__head_count=0)), "only 32, the width of a head"),
    "G22 heads do not share": (lambda: gguf(keys(attention__head_count_kv=3)), "cannot share"),
    "G22 RoPE over half a head": (lambda: gguf(keys(rope__dimension_count=4)), "rope.dimension_count is 4"),
    "G22 wide values": (lambda: gguf(keys(attention__value_length=4)), "attention.value_length is 4"),
    "G22 width": (lambda: gguf(keys(embedding_length=64)), "only 16, the width of a head"),
    "G22 an epsilon as a whole number": (lambda: gguf(keys(attention__layer_norm_rms_epsilon=1)), "u32, not as f32"),
    "G22 a context of nothing": (lambda: gguf(keys(context_length=0)), "the context is 0"),
    "G23 2^31 layers": (lambda: gguf(keys(block_count=2**31)), "2,147,483,648"),
    "G23 500 layers": (lambda: gguf(keys(block_count=500)), "announces 500 layers"),
    "G29 a part": (lambda: gguf(lambda k: k.update({"split.count": 3})), "one of 3 parts"),
    "yarn": (lambda: gguf(lambda k: k.update({"llama.rope.scaling.type": "yarn"})), '"yarn"'),
    "a tensor is missing": (lambda: gguf(tensors=lambda t: t.pop("blk.0.ffn_up.weight")), "no tensor blk.0.ffn_up.weight"),
    "a tensor too many": (lambda: gguf(tensors=lambda t: t.update({"blk.0.extra.weight": (32,)})), "blk.0.extra.weight"),
    "no table": (lambda: gguf(tensors=lambda t: t.pop("token_embd.weight")), "token_embd"),
    "H4 cut in the data": (lambda: gguf(cut=40), "ends at byte"),
}  # fmt: skip


@pytest.mark.parametrize("name", GGUFS)
def test_hostile_gguf(name: str, tmp_path: Path) -> None:
    make, says = GGUFS[name]
    path = tmp_path / "m.gguf"
    path.write_bytes(make())
    with nothing_left_behind(tmp_path):
        outcome, cost = attempt(lambda: load(path))
    check_cost(cost)
    assert isinstance(outcome, LabError), f"it loaded: {outcome}"
    check_message(outcome, says)


def test_the_small_models_themselves_load(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf())
    for path in (gpt2(tmp_path / "m"), tmp_path / "m.gguf"):
        with torch.inference_mode():
            assert bool(load(path)(torch.tensor([[1, 2, 3]])).isfinite().all())


def test_weights_that_are_no_numbers_load_and_are_named_when_they_are_met(tmp_path: Path) -> None:
    """H13."""
    from core.model.trace import Trace

    raw = bytearray(safetensors())
    raw[-4:] = struct.pack("<f", float("nan"))
    model = load(gpt2(tmp_path / "m", weights=bytes(raw)))
    trace = Trace(["blocks.0.mlp_out"])
    with torch.inference_mode():
        model(torch.tensor([[1]]), trace=trace)
    assert trace.not_finite == ["blocks.0.mlp_out"]


@pytest.mark.parametrize(
    "place", ["../x.safetensors", "/x.safetensors", "a/b.safetensors", "..", "x.bin", ""]
)
def test_an_index_that_leads_elsewhere_is_refused(place: str, tmp_path: Path) -> None:
    """T16."""
    folder = gpt2(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": place}}))
    with pytest.raises(LabError, match="no plain name"):
        load(folder)


def test_an_index_whose_part_is_missing_is_refused(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "m")
    index = {"weight_map": {"wte.weight": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(LabError, match="model-00002"):
        load(folder)


def test_an_index_that_lies_is_refused(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "m")
    for weights in ({"nothing.weight": "model.safetensors"}, {"wte.weight": "model.safetensors"}):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
        with pytest.raises(LabError, match="index"):
            load(folder)


def test_a_pickle_beside_is_never_opened(tmp_path: Path) -> None:
    """P3: weights as .bin only."""
    folder = gpt2(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "gone")
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as file:
        file.writestr("data.pkl", b"cos\nsystem\n(S'touch x'\ntR.")
    for path in (folder, folder / "pytorch_model.bin"):
        with pytest.raises(LabError, match="foreign code"):
            load(path)


def test_code_that_a_config_names_is_left_alone_and_that_is_said(tmp_path: Path) -> None:
    """P5."""
    folder = gpt2(
        tmp_path / "m", config=config_is(auto_map={"AutoModel": "evil.Model"}, trust_remote_code=True)
    )
    assert "is not run" in open_model(folder).notes[0]
    assert isinstance(load(folder), Transformer)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"has no config\.json"):
        open_model(tmp_path)
    with pytest.raises(LabError):
        open_model(tmp_path / "nothing.gguf")


def header_end(kind: str, whole: bytes) -> int:
    """Where the last entry of the header ends."""
    if kind == "gguf":
        return whole.index(b"blk.0.ffn_down.weight") + 61
    return 8 + int.from_bytes(whole[:8], "little")


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_cut_at_every_byte(kind: str, tmp_path: Path, report: Callable[[str, object], None]) -> None:
    whole = gguf() if kind == "gguf" else safetensors()
    folder = gpt2(tmp_path / "m")
    path = tmp_path / "m.gguf" if kind == "gguf" else folder / "model.safetensors"
    cuts = range(header_end(kind, whole) + 1)
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(LabError):
            open_model(path if kind == "gguf" else folder)
    report(f"models cut at every byte of the header: {kind}", len(cuts))


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_fuzzed(
    kind: str, tmp_path: Path, count: Callable[[int, int], int], report: Callable[[str, object], None]
) -> None:
    """A changed file is refused, or it is a model whose logits can be computed; never anything else."""
    whole = gguf() if kind == "gguf" else safetensors()
    folder = gpt2(tmp_path / "m")
    path = tmp_path / "m.gguf" if kind == "gguf" else folder / "model.safetensors"
    header = header_end(kind, whole)
    rng, refused, loaded = random.Random(11), 0, 0
    for _ in range(count(400, 20_000)):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(header) if rng.random() < 0.8 else rng.randrange(len(data))
            data[at] = rng.choice((data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
        path.write_bytes(data)
        try:
            model = load(path if kind == "gguf" else folder)
        except LabError as error:
            check_message(error)
            refused += 1
            continue
        with torch.inference_mode():
            assert model(torch.tensor([[0, 1]])).shape[-1] == model.config.vocab_size
        loaded += 1
    report(f"fuzzed {kind} models: refused, loaded", [refused, loaded])
    assert refused
    assert loaded


def test_a_file_that_shrinks_after_its_header_was_read_is_a_sentence(tmp_path: Path) -> None:
    """H8: nothing is mapped."""
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf())
    source = open_model(path)
    os.truncate(path, 1500)
    with pytest.raises(LabError, match="ends at byte 1,500"):
        run_to_end(load_model(source))
