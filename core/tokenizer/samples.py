"""What ships with the Tokenizer lab: samples, one text in many languages, scenes, the words of the strip.

All of it is data in `resources/`, found through importlib.resources, because a bundle has no source files.
Nothing here counts or encodes: the right answer of a scene is worked out from its text by the lab and is
never stored. The price table lies beside these files; `core.tokenizer.prices` reads it.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from typing import Any, Literal

from core.problems import LabError

Tab = Literal["learn", "encode"]


@dataclass(frozen=True)
class Sample:
    """A text to try.

    Attributes:
        name: Short name without spaces, also used on the command line: "cat-dog-king".
        title: Name on the button.
        text: The text itself.
        notice: One or two sentences on what to look for.
        tabs: The tabs that offer it: "learn", "encode" or both.
    """

    name: str
    title: str
    text: str
    notice: str
    tabs: frozenset[Tab]


@dataclass(frozen=True)
class Language:
    """The same five sentences in one language.

    Attributes:
        name: English name of the language.
        own_name: Its name in the language itself.
        code: ISO 639-1 code.
        direction: "ltr" or "rtl", the direction in which it is written.
        scripts: Unicode script names, the main one first: ("Hiragana", "Katakana", "Han").
        text: The five sentences.
    """

    name: str
    own_name: str
    code: str
    direction: Literal["ltr", "rtl"]
    scripts: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Languages:
    """One text in many languages.

    Attributes:
        title: What the text is about.
        note: Where the translations come from; shown beside the ratios.
        languages: English first, the others in the order in which they are offered.
    """

    title: str
    note: str
    languages: tuple[Language, ...]


@dataclass(frozen=True)
class Choice:
    """One answer that a person may give before a scene reveals its own.

    Attributes:
        pair: The two halves of a merge, for a scene of the Learn tab; else None.
        tokens: A number of tokens, for a scene of the Encode tab; else None.
        says: What the reveal says about this answer: one sentence or two, true whichever answer is right.
    """

    pair: tuple[str, str] | None
    tokens: int | None
    says: str


@dataclass(frozen=True)
class Scene:
    """A text, a question, and the answers to choose from.

    Attributes:
        name: File name without its ending.
        title: Heading of the scene.
        tab: The tab that plays it.
        text: The text to learn from or to encode.
        question: Asked before anything is revealed.
        choices: The answers to choose from; the right one is among them but is not marked.
        pattern: Name of the pattern that splits the text, for Learn; else None.
        vocab_size: How many tokens to learn, for Learn; else None.
        tokenizer: Name of the known tokenizer that the question is about, for Encode; else None.
    """

    name: str
    title: str
    tab: Tab
    text: str
    question: str
    choices: tuple[Choice, ...]
    pattern: str | None
    vocab_size: int | None
    tokenizer: str | None


def load_samples(tab: Tab | None = None) -> tuple[Sample, ...]:
    """The sample texts, or those of one tab, in the order in which they are offered.

    >>> load_samples("learn")[0].title
    'The cat, the dog and the king'
    """
    samples = tuple(_sample(entry) for entry in json.loads(_read("tokenizer", "samples.json")))
    return tuple(sample for sample in samples if tab is None or tab in sample.tabs)


def load_sample(name: str) -> Sample:
    """The sample of this name.

    Raises:
        LabError: There is no such sample.

    >>> load_sample("strawberry").text.splitlines()[0]
    'strawberry'
    """
    samples = {sample.name: sample for sample in load_samples()}
    if name not in samples:
        raise LabError(f"There is no sample {name!r}.", f"The samples are {', '.join(samples)}.")
    return samples[name]


def load_languages() -> Languages:
    """One text in many languages, English first.

    >>> load_languages().languages[0].name
    'English'
    """
    data = json.loads(_read("tokenizer", "languages.json"))
    languages = (Language(**{**entry, "scripts": tuple(entry["scripts"])}) for entry in data["languages"])
    return Languages(title=data["title"], note=data["note"], languages=tuple(languages))


def scene_names() -> tuple[str, ...]:
    """The names that `load_scene` knows, sorted.

    >>> "first-merges" in scene_names()
    True
    """
    folder = importlib.resources.files("resources").joinpath("scenes", "tokenizer")
    return tuple(sorted(f.name[: -len(".json")] for f in folder.iterdir() if f.name.endswith(".json")))


def load_scene(name: str) -> Scene:
    """The scene of this name.

    Raises:
        LabError: There is no such scene.

    >>> load_scene("first-merges").question
    'Which pair is merged first?'
    """
    if name not in scene_names():
        raise LabError(f"There is no scene {name!r}.", f"The scenes are {', '.join(scene_names())}.")
    data = json.loads(_read("scenes", "tokenizer", f"{name}.json"))
    return Scene(
        name=name,
        title=data["title"],
        tab=data["tab"],
        text=data["text"],
        question=data["question"],
        choices=tuple(_choice(entry) for entry in data["choices"]),
        pattern=data.get("pattern"),
        vocab_size=data.get("vocab_size"),
        tokenizer=data.get("tokenizer"),
    )


def strip_text(key: str) -> str:
    """What the strip under the picture says about what one sees.

    Args:
        key: "learn", "encode", "compare", "why", "price" or "languages".

    Raises:
        LabError: The strip has no such text.

    >>> strip_text("learn").split(".")[0]
    'Every color is one token'
    """
    texts: dict[str, str] = json.loads(_read("tokenizer", "strip.json"))
    if key not in texts:
        raise LabError(f"The strip has no text {key!r}.", f"Its texts are {', '.join(texts)}.")
    return texts[key]


def _sample(entry: dict[str, Any]) -> Sample:
    text = _read("tokenizer", entry["file"]) if "file" in entry else entry["text"]
    tabs: tuple[Tab, ...] = ("learn", "encode") if entry["tab"] == "both" else (entry["tab"],)
    return Sample(entry["name"], entry["title"], text, entry["notice"], frozenset(tabs))


def _choice(entry: dict[str, Any]) -> Choice:
    left_right = entry.get("pair")
    pair = (left_right[0], left_right[1]) if left_right is not None else None
    return Choice(pair=pair, tokens=entry.get("tokens"), says=entry["says"])


def _read(*place: str) -> str:
    # Bytes, not read_text: that would turn the \r\n inside a text file into \n.
    return importlib.resources.files("resources").joinpath(*place).read_bytes().decode("utf-8")
