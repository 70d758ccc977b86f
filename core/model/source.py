"""Where a model lies: its config, and the tensors that each parameter is read from. Only headers are read.

A model is a Hugging Face folder (config.json with safetensors, in one file or several) or a GGUF file.
Everything that the config promises is compared with the tensors before anything large is made (`loading.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.formats.bounded_json import read_json
from core.formats.files import quoted, shown
from core.formats.gguf import GgufHeader, read_gguf_header
from core.formats.safetensors import read_safetensors_header, read_safetensors_index
from core.formats.weights import StoredTensor, read_whole, stored_in_gguf, stored_in_safetensors
from core.model.config import ModelConfig, RopeScaling, check_config
from core.model.families import (
    FAMILIES,
    Family,
    gguf_sources,
    huggingface_sources,
    inner_name,
)
from core.problems import LabError

_CONFIG_AT_MOST = 1 << 20  # bytes
_ONLY = "Choose a model of one of these families: GPT-2, Llama, Qwen3."
_DAMAGED = "The file is damaged, or made for another program: get it again."
_ROPE_FACTORS = "rope_freqs.weight"


@dataclass(frozen=True)
class Piece:
    """One tensor of a file and the rows of a parameter that it fills.

    Attributes:
        stored: The tensor.
        begin: First row.
        end: The row after the last one.
        transposed: Whether the file holds it as (in, out).
        paired: Heads in whose rows RoPE's pairs stand side by side and are to be put half a head apart; 0
            where they are.
    """

    stored: StoredTensor
    begin: int
    end: int
    transposed: bool
    paired: int


@dataclass(frozen=True)
class ModelSource:
    """A model that can be loaded.

    Attributes:
        path: The folder or the GGUF file.
        name: As a person reads it.
        config: Its shape.
        parameters: For each parameter, in the order of `ModelConfig.shapes`, what it is made of.
        header: The header, of a GGUF file.
        notes: What was left aside, one sentence each.
    """

    path: Path
    name: str
    config: ModelConfig
    parameters: Mapping[str, tuple[Piece, ...]]
    header: GgufHeader | None
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """How its files are read."""
        return FAMILIES[self.config.family]

    @property
    def numbers(self) -> int:
        """How many parameters it has, each counted once."""
        return sum(piece.stored.numbers for pieces in self.parameters.values() for piece in pieces)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the parameters in the file."""
        return sum(piece.stored.size for pieces in self.parameters.values() for piece in pieces)


def open_model(path: str | os.PathLike[str], name: str = "") -> ModelSource:
    """Read the headers of a model and check that its tensors are those that its config promises.

    Args:
        path: A GGUF file, a folder with config.json and safetensors, or one of its files; or a folder with
            one GGUF file, as quantized models are kept.
        name: What to call it; else the name of the file or folder.

    Raises:
        LabError: It is no model of a known family, contradicts itself, or a tensor is missing, superfluous or
            of another shape; file and tensor are named.
    """
    path = Path(path)
    if path.is_dir():
        files = [] if (path / "config.json").exists() else sorted(path.glob("*.gguf"))
        if len(files) == 1:
            return _open_gguf(files[0], name or shown(path))
        return _open_folder(path, name or shown(path))
    if path.suffix == ".safetensors" or path.name in ("config.json", "model.safetensors.index.json"):
        return _open_folder(path.parent, name or shown(path.parent))
    if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"):
        raise LabError(
            f"{shown(path)} may run foreign code when it is opened.",
            "Only safetensors, JSON and GGUF are loaded: choose the model in one of these.",
        )
    return _open_gguf(path, name or shown(path.with_suffix("")))


# GGUF


def _open_gguf(path: Path, name: str) -> ModelSource:
    header = read_gguf_header(path)
    parts = header.metadata.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise LabError(
            f"{header.name} is one of {parts:,} parts of a model.",
            "Join them with llama-gguf-split --merge and choose the whole.",
        )
    stored = stored_in_gguf(header)
    config = check_config(_gguf_config(header, stored), header.name)
    family = FAMILIES[config.family]
    ignored = {_ROPE_FACTORS} if config.positions == "rope" else set()
    parameters = _match(
        config,
        stored,
        header.name,
        lambda parameter: gguf_sources(family, parameter),
        ignored,
        interleaved=family.interleaved,
    )
    return ModelSource(header.path, name, config, parameters, header)


def _gguf_config(header: GgufHeader, stored: Mapping[str, StoredTensor]) -> ModelConfig:
    architecture = header.value("general.architecture", "string")
    family = FAMILIES.get(architecture or "")
    if family is None:
        raise LabError(
            f"{header.name} holds a model of the unknown architecture {quoted(str(architecture))}.",
            _ONLY,
        )
    keys = _GgufKeys(header, family.name)
    embedding = stored.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise LabError(f"{header.name} has no table of token embeddings (token_embd.weight).", _DAMAGED)
    heads = keys.number("attention.head_count")
    width = keys.number("embedding_length")
    head_width = keys.number("attention.key_length", width // max(1, heads))
    keys.must_be("attention.value_length", head_width)
    if family.positions == "rope":
        keys.must_be("rope.dimension_count", head_width)
    config = ModelConfig(
        family=family.name,
        vocab_size=embedding.shape[0],
        context=keys.number("context_length"),
        width=width,
        layers=keys.number("block_count"),
        heads=heads,
        kv_heads=keys.number("attention.head_count_kv", heads),
        head_width=head_width,
        hidden=keys.number("feed_forward_length"),
        norm=family.norm,
        norm_eps=keys.real(f"attention.{family.gguf_eps}"),
        positions=family.positions,
        mlp="swiglu" if family.norm == "rms" else "gelu_tanh",
        attention_bias=family.norm == "layer" or "blk.0.attn_q.bias" in stored,
        mlp_bias=family.norm == "layer" or "blk.0.ffn_up.bias" in stored,
        qk_norm=family.qk_norm,
        tied="output.weight" not in stored,
        rope_base=keys.real("rope.freq_base", 10_000.0),
    )
    return replace(config, rope_scaling=_gguf_scaling(header, keys, stored, config))


def _gguf_scaling(
    header: GgufHeader, keys: _GgufKeys, stored: Mapping[str, StoredTensor], config: ModelConfig
) -> RopeScaling | None:
    if config.positions != "rope":
        return None
    kind = header.value(keys.name("rope.scaling.type"), "string") or "none"
    if kind not in ("none", "linear"):
        raise LabError(
            f"{header.name} stretches RoPE by {quoted(kind)}, which is not known.",
            "Choose a model without, or with linear or Llama 3 scaling.",
        )
    factors = stored.get(_ROPE_FACTORS)
    if factors is not None:
        if factors.shape != (config.head_width // 2,):
            raise LabError(
                f"{header.name}: {_ROPE_FACTORS} has the shape {list(factors.shape)}, not "
                f"[{config.head_width // 2}].",
                _DAMAGED,
            )
        return RopeScaling("factors", factors=tuple(read_whole(factors).tolist()))
    return RopeScaling("linear", factor=keys.real("rope.scaling.factor", 1.0)) if kind == "linear" else None


class _GgufKeys:
    """The keys of one architecture, each of exactly the type that llama.cpp asks for."""

    def __init__(self, header: GgufHeader, architecture: str) -> None:
        self._header = header
        self._architecture = architecture

    def name(self, key: str) -> str:
        return f"{self._architecture}.{key}"

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number; where each layer may have its own, all must be equal."""
        name = self.name(key)
        if self._header.types.get(name) in ("array of u32", "array of i32"):
            values = np.unique(np.asarray(self._header.metadata[name]))
            if len(values) == 1:
                return int(values[0])
            raise LabError(
                f"{self._header.name}: {name} differs from layer to layer, which is not read.", _ONLY
            )
        value: int | None = self._header.value(name, "u32")
        value = default if value is None else value
        if value is None:
            raise LabError(f"{self._header.name} does not say {name}.", _DAMAGED)
        return value

    def real(self, key: str, default: float | None = None) -> float:
        name = self.name(key)
        value: float | None = self._header.value(name, "f32")
        value = default if value is None else value
        if value is None:
            raise LabError(f"{self._header.name} does not say {name}.", _DAMAGED)
        return value

    def must_be(self, key: str, expected: int) -> None:
        value = self.number(key, expected)
        if value != expected:
            raise LabError(
                f"{self._header.name}: {self.name(key)} is {value:,}, and only {expected:,}, the width of a "
                "head, is read.",
                _ONLY,
            )


# Hugging Face


def _open_folder(folder: Path, name: str) -> ModelSource:
    if not (folder / "config.json").is_file():
        raise LabError(
            f"{shown(folder)} has no config.json.",
            "Choose a folder with config.json and model.safetensors, or a GGUF file.",
        )
    raw = read_json(folder / "config.json", at_most=_CONFIG_AT_MOST)
    where = f"{shown(folder)}/config.json"
    if not isinstance(raw, dict):
        raise LabError(f"{where} is no object of settings.", _DAMAGED)
    family = FAMILIES.get(str(raw.get("model_type")))
    if family is None:
        raise LabError(
            f"{where} describes a model of the unknown type {quoted(str(raw.get('model_type')))}.",
            _ONLY,
        )
    config = check_config(_HuggingFaceKeys(raw, family, where).config(), where)
    stored = _without_prefix(_folder_tensors(folder), family.prefix)
    ignored = {tensor.name for tensor in stored.values() if tensor.name.endswith(family.ignored)}
    ignored |= {family.head} if config.tied else set()
    parameters = _match(
        config,
        stored,
        shown(folder),
        lambda parameter: huggingface_sources(family, parameter),
        ignored,
        transposed=family.transposed,
    )
    notes = (f"{where} names code of its own (auto_map); it is not run.",) if "auto_map" in raw else ()
    return ModelSource(folder, name, config, parameters, None, notes)


def _folder_tensors(folder: Path) -> dict[str, StoredTensor]:
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if index.is_file():
        places = read_safetensors_index(index)
        parts = {
            file: stored_in_safetensors(read_safetensors_header(file))
            for file in sorted(set(places.values()))
        }
        for tensor, file in places.items():
            if tensor not in parts[file]:
                raise LabError(
                    f"{shown(index)} says that {quoted(tensor)} lies in {shown(file)}, and it does not.",
                    _DAMAGED,
                )
        unlisted = [n for file, part in parts.items() for n in part if places.get(n) != file]
        if unlisted:
            raise LabError(
                f"{shown(index)} does not name the tensor {quoted(unlisted[0])} where it lies.", _DAMAGED
            )
        return {tensor: parts[file][tensor] for tensor, file in places.items()}
    if single.is_file():
        return stored_in_safetensors(read_safetensors_header(single))
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise LabError(
            f"{shown(folder)} has weights as .bin or .pt only, and these may run foreign code.",
            "Only safetensors, JSON and GGUF are loaded: get the model in one of these.",
        )
    raise LabError(
        f"{shown(folder)} has no model.safetensors.", "Choose a folder that holds the weights, too."
    )


def _without_prefix(stored: dict[str, StoredTensor], prefix: str) -> dict[str, StoredTensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in stored.items()}


class _HuggingFaceKeys:
    """config.json of one family."""

    def __init__(self, raw: Mapping[str, Any], family: Family, where: str) -> None:
        self._raw, self._family, self._where = raw, family, where

    def config(self) -> ModelConfig:
        """The config, from the keys that matter; what would change the model unseen is refused."""
        self._refuse_other_models()
        width, heads = self._number("width"), self._number("heads")
        rms = self._family.norm == "rms"
        base, scaling = self._rope() if self._family.positions == "rope" else (10_000.0, None)
        return ModelConfig(
            family=self._family.name,
            vocab_size=self._number("vocab_size"),
            context=self._number("context"),
            width=width,
            layers=self._number("layers"),
            heads=heads,
            kv_heads=self._number("kv_heads", heads),
            head_width=self._number("head_width", width // max(1, heads)),
            hidden=self._number("hidden", 4 * width),
            norm=self._family.norm,
            norm_eps=self._real(*self._family.keys["norm_eps"]),
            positions=self._family.positions,
            mlp=self._mlp(),
            attention_bias=self._flag("attention_bias", False) if rms else True,
            mlp_bias=self._flag("mlp_bias", False) if self._family.name == "llama" else not rms,
            qk_norm=self._family.qk_norm,
            tied=self._flag("tie_word_embeddings", self._family.tied),
            rope_base=base,
            rope_scaling=scaling,
        )

    def _refuse_other_models(self) -> None:
        for key, usual in (
            ("use_sliding_window", False),
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
            ("partial_rotary_factor", 1.0),
        ):
            if self._raw.get(key, usual) != usual:
                self._refuse(key)
        if "quantization_config" in self._raw:
            self._refuse("quantization_config")

    def _mlp(self) -> str:
        if self._family.norm == "rms":
            key, known = "hidden_act", {"silu": "swiglu"}
        else:
            key = "activation_function"
            known = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"}
        value = str(self._raw.get(key, next(iter(known))))
        if value not in known:
            self._refuse(key)
        return known[value]

    def _rope(self) -> tuple[float, RopeScaling | None]:
        said = self._raw.get("rope_parameters") or self._raw.get("rope_scaling") or {}
        if not isinstance(said, dict):
            self._refuse("rope_parameters")
        base = self._real("rope_theta", self._raw.get("rope_theta", 10_000.0), said)
        kind = said.get("rope_type", said.get("type", "default"))
        if kind == "default":
            return base, None
        if kind == "linear":
            return base, RopeScaling("linear", factor=self._real("factor", None, said))
        if kind == "llama3":
            original = said.get("original_max_position_embeddings")
            if type(original) is not int:
                self._refuse("original_max_position_embeddings")
            return base, RopeScaling(
                "llama3",
                factor=self._real("factor", None, said),
                low=self._real("low_freq_factor", None, said),
                high=self._real("high_freq_factor", None, said),
                original_context=original,
            )
        raise LabError(
            f"{self._where} stretches RoPE by {quoted(str(kind))}, which is not known.",
            "Choose a model without, or with linear or Llama 3 scaling.",
        )

    def _number(self, field: str, default: int | None = None) -> int:
        key, usual = self._family.keys.get(field, ("", None))
        value = self._raw.get(key)
        if value is None:
            value = default if usual is None else usual
        if type(value) is not int:
            self._refuse(key)
        return value

    def _real(self, key: str, default: Any, within: Mapping[str, Any] | None = None) -> float:
        value = (self._raw if within is None else within).get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            self._refuse(key)
        return float(value)

    def _flag(self, key: str, default: bool) -> bool:
        value = self._raw.get(key, default)
        if not isinstance(value, bool):
            self._refuse(key)
        return value

    def _refuse(self, key: str) -> NoReturn:
        value = self._raw.get(key)
        told = "missing" if value is None else quoted(str(value), 40)
        raise LabError(f"{self._where}: {key} is {told}, which is not read.", _ONLY)


# Both


def _match(
    config: ModelConfig,
    stored: Mapping[str, StoredTensor],
    where: str,
    sources: Callable[[str], tuple[str, ...]],
    ignored: set[str],
    *,
    transposed: frozenset[str] = frozenset(),
    interleaved: bool = False,
) -> dict[str, tuple[Piece, ...]]:
    """The pieces of every parameter; no tensor may be missing, left over, or of another shape."""
    if config.layers * 4 > len(stored):  # before the names of a thousand layers are made
        raise LabError(
            f"{where} announces {config.layers:,} layers and holds {len(stored):,} tensors.", _DAMAGED
        )
    parameters: dict[str, tuple[Piece, ...]] = {}
    for parameter, shape in config.shapes().items():
        names = sources(parameter)
        pieces = []
        for name, (begin, end), heads in zip(
            names, _rows(config, shape[0], len(names)), (config.heads, config.kv_heads, 0), strict=False
        ):
            if name not in stored:
                raise LabError(f"{where} has no tensor {name}.", _DAMAGED)
            expected = (end - begin, *shape[1:])
            turned = inner_name(parameter) in transposed
            found = stored[name].shape
            if found != (expected[::-1] if turned else expected):
                raise LabError(
                    f"{where}: tensor {name} has the shape {list(found)}, not "
                    f"{list(expected[::-1] if turned else expected)}.",
                    _DAMAGED,
                )
            paired = heads if interleaved and len(names) == 3 else 0
            pieces.append(Piece(stored[name], begin, end, turned, paired))
        parameters[parameter] = tuple(pieces)
    used = {piece.stored.name for pieces in parameters.values() for piece in pieces}
    unknown = [tensor.name for name, tensor in stored.items() if tensor.name not in used | ignored]
    if unknown:
        raise LabError(
            f"{where} has the tensor {quoted(unknown[0])}, which no {FAMILIES[config.family].title} model of "
            "its config has.",
            "What it does is not known here, so the model would answer wrongly. Choose another file.",
        )
    return parameters


def _rows(config: ModelConfig, rows: int, parts: int) -> list[tuple[int, int]]:
    """Which rows of a parameter each of its tensors fills: queries, keys, values; or gate and the rest."""
    sizes = config.qkv_rows if parts == 3 else (rows // parts,) * parts
    ends = list(accumulate(sizes))
    return list(zip([0, *ends], ends, strict=False))
