"""The models in memory: one read-only copy of each, shared by all labs; idle ones go when room is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from core.model.fast import TEXT, Measured, check_setting, choose_way, measure_kernels, pack_model
from core.model.fast_memory import FastMemory
from core.model.loading import load_model
from core.model.source import ModelSource, open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.gguf_vocabulary import gguf_tokenizer
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer

IDLE_AT_MOST = 600 << 20  # bytes of models that nobody uses and that are kept all the same


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with its tokenizer.

    Attributes:
        source: Where it lies.
        model: Its weights, float32, never written to.
        tokenizer: Its own, or None where the file has none.
        no_tokenizer: Why there is none, or "".
        lock: Held by who computes much with it, so that memory is taken once where stages run on threads.
    """

    source: ModelSource
    model: Transformer
    tokenizer: Tokenizer | None
    no_tokenizer: str
    lock: AbstractContextManager[object] = field(default_factory=nullcontext)

    @property
    def bytes(self) -> int:
        """What its weights take in memory."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    @property
    def chats(self) -> bool:
        """Whether it has a chat template."""
        return self.tokenizer is not None and bool(self.tokenizer.chat_template)

    def needed_tokenizer(self) -> Tokenizer:
        """Its tokenizer.

        Raises:
            LabError: It has none.
        """
        if self.tokenizer is None:
            raise LabError(
                f"{self.source.name} has no tokenizer: {self.no_tokenizer}", "Choose another model."
            )
        return self.tokenizer


@dataclass(frozen=True, eq=False)
class FastModel:
    """A model on the fast path.

    Attributes:
        model: Shares what it can with the exact one; the exact one itself where nothing is faster.
        way: How it multiplies, with what was measured.
        exact: The exact path, measured alongside.
    """

    model: Transformer
    way: Measured
    exact: Measured


class Shelf:
    """Loaded models by path. Every `take` is answered by one `give_back`.

    Args:
        new_lock: Makes locks, where stages run on several threads; none are needed on one.
        memory: Remembers what was measured of the fast paths.
    """

    def __init__(
        self,
        new_lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        memory: FastMemory | None = None,
    ) -> None:
        self._new_lock = new_lock
        self._lock = new_lock()  # held while the lists are changed
        self._memory = memory or FastMemory(None)
        self._fast: dict[tuple[Path, str], FastModel] = {}  # by model and setting
        self._models: dict[Path, LoadedModel] = {}  # the one used last stands last
        self._users: dict[Path, int] = {}

    def take(
        self, path: str | os.PathLike[str], name: str = ""
    ) -> Iterator[Progress | Finished[LoadedModel]]:
        """A stage that gives a model, from memory or from its file.

        Args:
            path: A GGUF file or a Hugging Face folder.
            name: What to call it; else as the file is.

        Raises:
            LabError: It cannot be opened or does not fit.
        """
        key = Path(path).resolve()
        found = self._use(key)
        if found is not None:
            return iter([Finished(f"{found.source.name} is in memory.", found)])
        return self._load(key, name)

    def give_back(self, loaded: LoadedModel) -> None:
        """Say that a model is not used any more by one of its users."""
        key = loaded.source.path.resolve()
        with self._lock:
            if key in self._users:
                self._users[key] = max(0, self._users[key] - 1)
        self._drop_idle()

    def take_fast(self, loaded: LoadedModel, setting: str) -> Iterator[Progress | Finished[FastModel]]:
        """A stage that gives a model on the fast path; what was never measured here is measured first.

        Args:
            loaded: The exact model, in use; its fast ones go when it goes.
            setting: One of `core.model.fast.SETTINGS`.

        Raises:
            LabError: There is no such setting.
        """
        check_setting(setting)
        key = loaded.source.path.resolve()
        with self._lock:
            found = self._fast.get((key, setting))
        if found is not None:
            return iter([Finished(found.way.title, found)])
        return self._make_fast(loaded, key, setting)

    def _make_fast(
        self, loaded: LoadedModel, key: Path, setting: str
    ) -> Iterator[Progress | Finished[FastModel]]:
        measured = self._memory.recall(key)
        if not measured:
            measured = yield from pass_on(measure_kernels(loaded.model, _ids_to_measure(loaded)))
            self._memory.keep(key, measured)
        way = choose_way(measured, setting)
        model = loaded.model
        with self._lock:
            same = [f for (path, _), f in self._fast.items() if path == key and f.way == way]
        if same:
            model = same[0].model
        elif way.blocks != "exact":
            model = yield from pass_on(pack_model(loaded.model, way.blocks, way.head))
        fast = FastModel(model, way, measured[0])
        with self._lock:
            if key in self._models:
                self._fast[key, setting] = fast
        yield Finished(way.title, fast)

    def _use(self, key: Path) -> LoadedModel | None:
        with self._lock:
            found = self._models.pop(key, None)
            if found is not None:
                self._models[key] = found
                self._users[key] += 1
            return found

    def _load(self, key: Path, name: str) -> Iterator[Progress | Finished[LoadedModel]]:
        source = open_model(key, name)
        model: Transformer = yield from pass_on(load_model(source))
        made = LoadedModel(source, model, *_tokenizer_of(source), self._new_lock())
        with self._lock:
            made = self._models.setdefault(key, made)  # another lab may have been as quick
            self._users[key] = self._users.get(key, 0) + 1
        self._drop_idle()
        yield Finished(f"{source.name} is loaded.", made)

    def _drop_idle(self) -> None:
        with self._lock:
            idle = [key for key in self._models if not self._users.get(key)]
            kept = sum(self._models[key].bytes for key in idle)
            for key in idle:
                if kept <= IDLE_AT_MOST:
                    break
                kept -= self._models.pop(key).bytes
                self._users.pop(key, None)
                self._fast = {at: fast for at, fast in self._fast.items() if at[0] != key}


def _ids_to_measure(loaded: LoadedModel) -> tuple[int, ...]:
    """Tokens of a text; where the model has no tokenizer, every so many-th of its vocabulary."""
    if loaded.tokenizer is not None:
        return tuple(loaded.tokenizer.encode(TEXT))
    most = loaded.source.config.vocab_size
    return tuple(n * 7919 % most for n in range(len(TEXT) // 4))


def _tokenizer_of(source: ModelSource) -> tuple[Tokenizer | None, str]:
    try:
        if source.header is not None:
            tokenizer = gguf_tokenizer(source.header, source.name)
        else:
            tokenizer = read_tokenizer(source.path)
    except LabError as error:
        return None, str(error)
    if tokenizer.vocab_size > source.config.vocab_size:
        return None, (
            f"its {tokenizer.vocab_size:,} tokens are more than the {source.config.vocab_size:,} rows of the "
            "model's table."
        )
    return tokenizer, ""
