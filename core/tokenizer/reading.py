"""Tokenizers out of files: bounded, checked, and only with known patterns.

Read are tokenizer.json (byte-level BPE), vocab.json with merges.txt, tiktoken rank files (`ranks.py`) and
the vocabulary in a GGUF (`gguf_vocabulary.py`); tokenizer_config.json and chat_template.jinja beside the
first two add special tokens and the chat template. Every LabError names the file and the place.

What does not change the ids of a text is passed over: truncation, padding, and templates that put special
tokens around a text. What does and is not known is refused by its name: normalizers (NFC, which Qwen has,
included), dropout, prefixes and suffixes of words, added tokens that swallow the space beside them, and every
split pattern but those of `patterns.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.formats.bounded_json import read_json
from core.formats.files import open_bounded, quoted, read_text, shown
from core.problems import LabError
from core.tokenizer import patterns
from core.tokenizer.gguf_vocabulary import read_gguf_tokenizer
from core.tokenizer.ranks import read_rank_file
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.vocabulary import (
    PARTS,
    TEMPLATE_AT_MOST,
    Places,
    halves,
    ordinary_tokens,
    refuse,
    spelled_merges,
    spelled_tokens,
)

CONFIG_AT_MOST = 8 << 20  # bytes of a tokenizer_config.json
MERGES_AT_MOST = 32 << 20  # bytes of a merges.txt
_GPT2_SPECIAL = "<|endoftext|>"
_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_KINDS = "Choose a tokenizer.json, a vocab.json or merges.txt, a .tiktoken or a .gguf file, or their folder."


def read_tokenizer(path: str | os.PathLike[str], pattern: str = "") -> Tokenizer:
    """The tokenizer in a file or a folder.

    Args:
        path: tokenizer.json, vocab.json, merges.txt, a rank file, a GGUF file, or a folder that holds one.
        pattern: Name of the split pattern of a rank file that is none of tiktoken's own; such a file does not
            say it. Others say or imply theirs, and this argument is then not looked at.

    Raises:
        LabError: The file cannot be read, is none of these, or something in it is refused; file and place
            (byte, line, key, or number of the merge) are named.
    """
    path = Path(path)
    if os.path.isdir(path):  # unlike Path.is_dir, it raises nothing
        path = _in_folder(path)
    with open_bounded(path) as file:
        first = file.read(min(file.size, 4))
    if not first:
        raise LabError(f"{shown(path)}, byte 0: the file is empty.", _KINDS)
    if first == b"GGUF" or path.suffix.lower() == ".gguf":
        return read_gguf_tokenizer(path)
    if first[:2] == b"PK" or (first[:1] == b"\x80" and first[1:2] <= b"\x05"):
        raise LabError(
            f"{shown(path)}, byte 0: this is a ZIP archive or a pickle, which could run programs.",
            _KINDS,
        )
    for vocab, merges in _PAIRS:
        if path.name in (vocab, merges):
            return _read_pair(path.with_name(vocab), path.with_name(merges))
    if path.suffix.lower() in (".tiktoken", ".gz") or path.name == "tokenizer.model":
        return read_rank_file(path, pattern)
    if path.suffix.lower() == ".json":
        return _read_json(path)
    raise LabError(f"{shown(path)}, byte 0: this is no kind of tokenizer file that is known here.", _KINDS)


def _in_folder(folder: Path) -> Path:
    for name in ("tokenizer.json", *(vocab for vocab, _ in _PAIRS)):
        if (folder / name).exists():
            return folder / name
    found = sorted([*folder.glob("*.gguf"), *folder.glob("*.tiktoken")])[:2]
    if len(found) == 1:
        return found[0]
    many = "more than one tokenizer" if found else "no tokenizer"
    raise LabError(f"The folder {shown(folder)} holds {many}.", _KINDS)


# tokenizer.json


def _read_json(path: Path) -> Tokenizer:
    value = read_json(path)
    name = shown(path)
    places = Places(
        name, lambda token: f"model.vocab, {quoted(token)}", lambda number: f"model.merges, merge {number:,}"
    )
    if not isinstance(value, dict):
        refuse(name, "line 1", "a tokenizer.json is an object")
    if "model" not in value:
        if path.name != "tokenizer.json" and value and all(type(id_) is int for id_ in value.values()):
            raise LabError(
                f"{name}, line 1: this is a vocabulary without its merges.",
                "Name it vocab.json and put its merges.txt beside it, then choose it again.",
            )
        refuse(name, "model", "the key is missing, so this is no tokenizer.json")
    model = _model(value["model"], name)
    _check_steps(value, name)
    config = _read_config(path.parent)
    special = _added_tokens(value.get("added_tokens") or [], model["vocab"], name)
    _add_special(special, config, model["vocab"])
    pairs = _pairs(model["merges"], places)
    vocab = ordinary_tokens(model["vocab"], special, pairs)
    tokens = spelled_tokens(vocab, special, places)
    before = value.get("pre_tokenizer")
    pattern = _pattern(before, name)
    parts = _parts(config, special)
    unk = model.get("unk_token")
    if unk in special:
        parts.setdefault("unk", str(unk))
    elif unk and sum(token is not None and len(token) == 1 for token in tokens) < 256:
        refuse(
            name,
            "model.unk_token",
            f"{quoted(unk)} would stand for bytes that have no token; that is not supported",
        )
    return Tokenizer(
        name=shown(path.parent.absolute()) if path.name == "tokenizer.json" else shown(path.stem),
        pattern=pattern,
        tokens=tokens,
        merges=spelled_merges(pairs, vocab, places),
        special_tokens=special,
        chat_template=config.chat_template,
        ignore_merges=model.get("ignore_merges", False),
        add_prefix_space=_adds_space(before, name),
        **parts,
    )


def _model(model: Any, name: str) -> dict[str, Any]:
    """The `model` object, each of its settings checked."""
    if not isinstance(model, dict):
        refuse(name, "model", "it is no object")
    kind = model.get("type", "BPE")
    if kind != "BPE":
        refuse(
            name,
            "model.type",
            f"{_told(kind)} is not BPE, the only kind that is read",
            "Choose a BPE tokenizer.",
        )
    for key, kind_of in (("vocab", dict), ("merges", list)):
        if not isinstance(model.get(key), kind_of):
            refuse(name, f"model.{key}", "it is missing or of another kind")
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key) not in (None, "", 0):
            refuse(name, f"model.{key}", f"{_told(model[key])} is not supported; only byte-level BPE is")
    for key in ("byte_fallback", "ignore_merges", "fuse_unk"):
        if not isinstance(model.get(key, False), bool):
            refuse(name, f"model.{key}", f"{_told(model[key])} is neither true nor false")
    if model.get("byte_fallback"):
        refuse(name, "model.byte_fallback", "it is not supported; only byte-level BPE is")
    if not isinstance(model.get("unk_token"), str | None):
        refuse(name, "model.unk_token", f"{_told(model['unk_token'])} is no text")
    return model


def _check_steps(value: Mapping[str, Any], name: str) -> None:
    """Refuse what happens before and after BPE, where it would change the ids of a text."""
    normalizer = value.get("normalizer")
    if normalizer is not None:
        kind = _told(normalizer.get("type") if isinstance(normalizer, dict) else normalizer)
        refuse(
            name,
            "normalizer",
            f"the normalizer {kind} changes a text before it is split, which is not supported",
            "Choose a tokenizer without one, or the model's GGUF file, which never normalizes.",
        )
    for key, known in (
        ("decoder", ("ByteLevel",)),
        ("post_processor", ("ByteLevel", "TemplateProcessing", "RobertaProcessing")),
    ):
        for step in _steps(value.get(key), "processors" if key == "post_processor" else "decoders"):
            found = step.get("type") if isinstance(step, dict) else step
            if found not in known:
                refuse(name, key, f"{_told(found)} is not supported; known are {', '.join(known)}")


def _steps(value: Any, inner: str) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, dict) and value.get("type") == "Sequence" and isinstance(value.get(inner), list):
        return list(value[inner])
    return [value]


def _pattern(before: Any, name: str) -> patterns.Pattern:
    try:
        return patterns.match_pre_tokenizer(before)
    except LabError as error:
        raise LabError(f"{name}, pre_tokenizer: {error.problem}", error.remedy) from None


def _adds_space(before: Any, name: str) -> bool:
    """Whether a lone ByteLevel puts a space before a text; its default is yes."""
    if before.get("type") == "Sequence":
        steps = before["pretokenizers"]
        if len(steps) > 1:
            return False
        before = steps[0]
    adds = before.get("add_prefix_space", True)
    if not isinstance(adds, bool):
        refuse(name, "pre_tokenizer.add_prefix_space", f"{_told(adds)} is neither true nor false")
    return adds


def _pairs(merges: list[Any], places: Places) -> list[tuple[str, str]]:
    """The merges as pairs; they are written as pairs or, in older files, as "left right"."""
    pairs: list[tuple[str, str]] = []
    kind = str if merges and isinstance(merges[0], str) else list
    for number, merge in enumerate(merges, start=1):
        if kind is str and type(merge) is str:
            pairs.append(halves(merge, places, number))
        elif type(merge) is kind and len(merge) == 2 and type(merge[0]) is str and type(merge[1]) is str:
            pairs.append((merge[0], merge[1]))
        else:
            refuse(places.file, places.merge(number), f"{_told(merge)} is no pair of texts as the others are")
    return pairs


def _added_tokens(added: Any, vocab: Mapping[str, Any], name: str) -> dict[str, int]:
    """Id of each added token; special or not, all are found in a text as they stand."""
    if not isinstance(added, list):
        refuse(name, "added_tokens", "it is no list")
    special: dict[str, int] = {}
    for number, token in enumerate(added):
        place = f"added_tokens[{number}]"
        content, id_ = (token.get("content"), token.get("id")) if isinstance(token, dict) else (None, None)
        if not isinstance(content, str) or type(id_) is not int:
            refuse(name, place, "it needs a content (text) and an id (whole number)")
        _check_flags(token, name, place)
        if content in special:
            refuse(name, place, f"{quoted(content)} was added before")
        if vocab.get(content, id_) != id_:
            refuse(name, place, f"{quoted(content)} has the id {id_:,} here and another one in model.vocab")
        special[content] = id_
    return special


def _check_flags(token: Mapping[str, Any], name: str, place: str) -> None:
    for flag in ("single_word", "lstrip", "rstrip"):
        if token.get(flag, False) is not False:
            refuse(
                name,
                place,
                f"{flag} of {quoted(token['content'])} takes more or less than its text; not supported",
            )


# tokenizer_config.json


@dataclass
class _Config:
    """What is taken out of a tokenizer_config.json; empty where there is none."""

    name: str = "tokenizer_config.json"
    kind: str = ""
    special: dict[str, int] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    chat_template: str | None = None


def _read_config(folder: Path) -> _Config:
    path = folder / "tokenizer_config.json"
    config = _Config(name=shown(path))
    value = read_json(path, CONFIG_AT_MOST) if os.path.lexists(path) else {}
    if not isinstance(value, dict):
        refuse(config.name, "line 1", "it is no object")
    kind = value.get("tokenizer_class")
    config.kind = kind if isinstance(kind, str) else ""
    added = value.get("added_tokens_decoder") or {}
    if not isinstance(added, dict):
        refuse(config.name, "added_tokens_decoder", "it is no object")
    for number, token in added.items():
        place = f"added_tokens_decoder, {quoted(number)}"
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not (number.isascii() and number.isdigit() and len(number) < 11):
            refuse(config.name, place, "it needs an id and a content (text)")
        _check_flags(token, config.name, place)
        if content in config.special:
            refuse(config.name, place, f"{quoted(content)} was added before")
        config.special[content] = int(number)
    for part in PARTS:
        named = value.get(f"{part}_token")
        named = named.get("content") if isinstance(named, dict) else named
        if not isinstance(named, str | None):
            refuse(config.name, f"{part}_token", f"{_told(named)} is no text")
        if named is not None:
            config.parts[part] = named
    config.chat_template = _template(value.get("chat_template"), folder, config.name)
    return config


def _template(value: Any, folder: Path, name: str) -> str | None:
    """The chat template, which is kept as text and never run here."""
    if isinstance(value, list):
        named = {entry.get("name"): entry.get("template") for entry in value if isinstance(entry, dict)}
        value = named.get("default", "")
    beside = folder / "chat_template.jinja"
    if value is None and os.path.lexists(beside):
        return read_text(beside, TEMPLATE_AT_MOST)
    if not isinstance(value, str | None):
        refuse(name, "chat_template", f"{_told(value)} is no text")
    if value is not None and len(value) > TEMPLATE_AT_MOST:
        refuse(
            name, "chat_template", f"it has {len(value):,} characters; at most {TEMPLATE_AT_MOST:,} are read"
        )
    return value


def _add_special(special: dict[str, int], config: _Config, vocab: Mapping[str, Any]) -> None:
    """Add what only tokenizer_config.json knows."""
    for content, id_ in config.special.items():
        if special.get(content, vocab.get(content, id_)) != id_:
            refuse(
                config.name,
                f'added_tokens_decoder, "{id_}"',
                f"{quoted(content)} has another id in the vocabulary",
            )
        special[content] = id_


def _parts(config: _Config, special: Mapping[str, int]) -> dict[str, Any]:
    for part, content in config.parts.items():
        if content not in special:
            refuse(config.name, f"{part}_token", f"{quoted(content)} is none of the special tokens")
    return dict(config.parts)


# vocab.json and merges.txt


def _read_pair(vocab_path: Path, merges_path: Path) -> Tokenizer:
    for path, other in ((vocab_path, merges_path), (merges_path, vocab_path)):
        if not os.path.lexists(path):
            raise LabError(
                f"{shown(other)} needs {shown(path)} beside it, which is missing.",
                "Put both into one folder, or choose a tokenizer.json, which holds all.",
            )
    config = _read_config(vocab_path.parent)
    if config.kind not in ("", "GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast"):
        refuse(
            config.name,
            "tokenizer_class",
            f"{quoted(config.kind)} splits text by another pattern than GPT-2's, which these files imply",
            "Choose the tokenizer.json of this model.",
        )
    return parse_gpt2_files(
        read_json(vocab_path),
        read_text(merges_path, MERGES_AT_MOST),
        shown(vocab_path),
        shown(merges_path),
        config,
    )


def parse_gpt2_files(
    vocab: Any,
    merges: str,
    vocab_name: str,
    merges_name: str,
    config: _Config | None = None,
    name: str = "",
) -> Tokenizer:
    """The tokenizer of a parsed vocab.json and the text of its merges.txt; the pattern is GPT-2's.

    Raises:
        LabError: Something in them is refused; file and place are named.
    """
    config = config or _Config()
    if not isinstance(vocab, dict):
        refuse(vocab_name, "line 1", "it is no object of tokens and ids")
    special = {_GPT2_SPECIAL: vocab[_GPT2_SPECIAL]} if _GPT2_SPECIAL in vocab else {}
    _add_special(special, config, vocab)
    lines = merges.removesuffix("\n").split("\n") if merges else []
    skipped = 1 if lines and lines[0].startswith("#version") else 0
    places = Places(
        merges_name,
        lambda token: f"key {quoted(token)}",
        lambda number: f"line {number + skipped:,} (merge {number:,})",
    )
    pairs = [halves(line.removesuffix("\r"), places, i) for i, line in enumerate(lines[skipped:], start=1)]
    ordinary = ordinary_tokens(vocab, special, pairs)
    tokens = spelled_tokens(ordinary, special, replace(places, file=vocab_name))
    parts = _parts(config, special)
    if special and not parts:
        parts = dict.fromkeys(("bos", "eos", "unk"), _GPT2_SPECIAL) if _GPT2_SPECIAL in special else {}
    return Tokenizer(
        name=name or vocab_name,
        pattern=patterns.PATTERNS["gpt2"],
        tokens=tokens,
        merges=spelled_merges(pairs, ordinary, places),
        special_tokens=special,
        chat_template=config.chat_template,
        **parts,
    )


def _told(value: Any) -> str:
    """A value of a file as a message shows it."""
    return quoted(value if isinstance(value, str) else repr(value)[:200])
