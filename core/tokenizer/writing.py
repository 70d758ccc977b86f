"""A tokenizer as the files that other people's tools open.

`tokenizer.json` with `tokenizer_config.json` holds everything: Hugging Face `tokenizers` and transformers
encode by it as we do. Two older forms hold less: `vocab.json` with `merges.txt` (GPT-2's) has no place for a
pattern, and a tiktoken rank file only has tokens in order. They are written only where nothing that changes
an id is lost, and refused with the reason otherwise. Files are new: none is ever overwritten.
"""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.formats.files import write_new
from core.problems import LabError
from core.tokenizer.merging import byte_ids, spelling_decides
from core.tokenizer.patterns import BYTE_TO_CHAR
from core.tokenizer.tokenizer import Tokenizer

GPT2_SPECIAL = "<|endoftext|>"  # the one special token that readers of vocab.json know by itself


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> list[Path]:
    """Write `tokenizer.json` and `tokenizer_config.json` into a folder, which is made where it is missing.

    Returns:
        The files.

    Raises:
        LabError: One of the files is there already, the disk refuses, or a special token is spelled like
            an ordinary one, which the format cannot hold.
    """
    files = {
        "tokenizer.json": tokenizer_json(tokenizer),
        "tokenizer_config.json": tokenizer_config_json(tokenizer),
    }
    return _write_all(files, folder)


def write_gpt2_files(tokenizer: Tokenizer, folder: Path) -> list[Path]:
    """Write `vocab.json` and `merges.txt` into a folder.

    Raises:
        LabError: `why_no_gpt2_files` names a reason, one of the files is there already, or the disk refuses.
    """
    _refuse(why_no_gpt2_files(tokenizer), "vocab.json and merges.txt")
    merges = "".join(f"{left} {right}\n" for left, right in _spelled_merges(tokenizer))
    files = {
        "vocab.json": json.dumps(_vocab(tokenizer), ensure_ascii=False, indent=None),
        "merges.txt": "#version: 0.2\n" + merges,
    }
    return _write_all(files, folder)


def write_ranks(tokenizer: Tokenizer, path: Path) -> Path:
    """Write a tiktoken rank file: each token in base64 and its id, in the order of the ids.

    Pattern and special tokens are never part of such a file; whoever reads it has to know them.

    Raises:
        LabError: `why_no_ranks` names a reason, the file is there already, or the disk refuses.
    """
    _refuse(why_no_ranks(tokenizer), "a rank file")
    lines = [
        f"{base64.b64encode(token).decode()} {id_}\n"
        for id_, token in enumerate(tokenizer.tokens)
        if token is not None
    ]
    write_new(path, "".join(lines))
    return path


def why_no_gpt2_files(tokenizer: Tokenizer) -> str:
    """Why vocab.json and merges.txt cannot hold this tokenizer; "" where they can."""
    if tokenizer.pattern.name != "gpt2":
        return f"they imply GPT-2's pattern, and this tokenizer's is {tokenizer.pattern.title}"
    if tokenizer.ignore_merges or tokenizer.add_prefix_space:
        return "they have no place for its settings (whole words first, space before a text)"
    if set(tokenizer.special_tokens) - {GPT2_SPECIAL}:
        return f"they know no special token but {GPT2_SPECIAL}"
    if tokenizer.chat_template is not None:
        return "they have no place for its chat template"
    return ""


def why_no_ranks(tokenizer: Tokenizer) -> str:
    """Why a tiktoken rank file cannot hold this tokenizer; "" where it can."""
    if tokenizer.add_prefix_space:
        return "it has no place for the space that this tokenizer puts before a text"
    if min(byte_ids(tokenizer.tokens)) < 0:
        return "it needs a token for each of the 256 bytes"
    made = [new for _, _, new in tokenizer.merges]
    if any(later <= earlier for earlier, later in pairwise(made)):
        return "its order is that of the ids, and the merges of this tokenizer have another"
    if sum(token is not None for token in tokenizer.tokens) != 256 + len(made):
        return "it would also merge the tokens that this tokenizer has no merge for"
    if not spelling_decides(tokenizer.tokens, tokenizer.merges):
        return "it merges by spelling, and that gives other ids than the merges of this tokenizer"
    return ""


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """The text of `tokenizer.json`; equal tokenizers give equal texts.

    Raises:
        LabError: A special token is spelled like an ordinary one.
    """
    value = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": id_, **_added(name)} for name, id_ in _special(tokenizer)],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(tokenizer),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": tokenizer.ignore_merges,
            "vocab": _vocab(tokenizer),
            "merges": _spelled_merges(tokenizer),
        },
    }
    return _json(value)


def tokenizer_config_json(tokenizer: Tokenizer) -> str:
    """The text of `tokenizer_config.json`: special tokens by their part, and the chat template.

    Raises:
        LabError: bos, eos, unk or pad is none of the special tokens: who reads the file would add it.
    """
    value: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(id_): _added(name) for name, id_ in _special(tokenizer)},
    }
    for part in ("bos", "eos", "unk", "pad"):
        name = getattr(tokenizer, part)
        if name is None:
            continue
        if name not in tokenizer.special_tokens:
            raise LabError(
                f"The {part} token {name!r} is none of the special tokens.",
                "Add it to the special tokens, or leave it out.",
            )
        value[f"{part}_token"] = name
    if tokenizer.chat_template is not None:
        value["chat_template"] = tokenizer.chat_template
    return _json(value)


def _special(tokenizer: Tokenizer) -> list[tuple[str, int]]:
    return sorted(tokenizer.special_tokens.items(), key=lambda item: item[1])


def _added(name: str) -> dict[str, Any]:
    """How Hugging Face describes a special token: found as it stands, wherever it stands."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"content": name, **flags, "special": True}


def _pre_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    if not tokenizer.add_prefix_space:
        return tokenizer.pattern.pre_tokenizer
    if tokenizer.pattern.pre_tokenizer.get("type") != "ByteLevel":
        raise LabError(
            f"A space before the text cannot be written with the pattern {tokenizer.pattern.title}.",
            "Choose GPT-2's pattern, or leave the space out.",
        )
    return {**tokenizer.pattern.pre_tokenizer, "add_prefix_space": True}


def _vocab(tokenizer: Tokenizer) -> dict[str, int]:
    """Each token as the characters that stand for its bytes, special tokens as they are, by id.

    Raises:
        LabError: A special token is spelled like an ordinary one.
    """
    names = {id_: name for name, id_ in tokenizer.special_tokens.items()}
    spelled = {i: _characters(token) for i, token in enumerate(tokenizer.tokens) if token is not None}
    vocab = {name: id_ for id_, name in sorted((spelled | names).items())}
    lost = [name for i, name in names.items() if spelled.get(i, name) != name or vocab[name] != i]
    if lost or len(vocab) != len(spelled.keys() | names.keys()):
        twice = (lost or [name for name in names.values() if name in spelled.values()])[0]
        raise LabError(
            f"The special token {twice!r} is spelled like an ordinary token.",
            "The format names each token once: give the special token another name.",
        )
    return vocab


def _spelled_merges(tokenizer: Tokenizer) -> list[list[str]]:
    shown = {i: _characters(token) for i, token in enumerate(tokenizer.tokens) if token is not None}
    return [[shown[left], shown[right]] for left, right, _ in tokenizer.merges]


def _characters(token: bytes) -> str:
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _refuse(reason: str, files: str) -> None:
    if reason:
        raise LabError(
            f"This tokenizer cannot be written as {files}: {reason}.",
            "Write tokenizer.json, which holds all of it.",
        )


def _write_all(files: dict[str, str], folder: Path) -> list[Path]:
    paths = [folder / name for name in files]
    for path in paths:  # all or none
        if path.exists():
            raise LabError(f"{path.name} is already in {folder}.", "Choose an empty folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"The folder {folder} cannot be made: {error.strerror}.", "Choose another.") from None
    for path, text in zip(paths, files.values(), strict=True):
        write_new(path, text)
    return paths
