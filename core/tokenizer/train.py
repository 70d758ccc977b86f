"""From texts to a tokenizer: count the words, then learn merges; for the Learn page and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.settings import check, setting
from core.stages import Finished, Progress
from core.tokenizer.learn import Learned, LearnSettings, Merged, learn_merges
from core.tokenizer.patterns import pattern
from core.tokenizer.words import Text, WordCounts, count_words


@dataclass(frozen=True)
class TrainSettings(LearnSettings):
    """What a person chooses before a tokenizer is trained."""

    special_tokens: str = setting(
        "<|endoftext|>",
        title="Special tokens",
        help="Texts that get an id of their own and are never made by merging, with spaces between them.",
    )

    @property
    def special_token_list(self) -> tuple[str, ...]:
        """The special tokens one by one."""
        return tuple(self.special_tokens.split())


@dataclass(frozen=True)
class Counted:
    """The texts are read and split: what merges are learned from."""

    words: WordCounts


def train_tokenizer(
    texts: Sequence[Text], settings: TrainSettings, leading: int = 0
) -> Iterator[Progress | Counted | Merged | Finished[Learned]]:
    """Count the words of texts, then learn merges on them.

    Args:
        texts: What to learn from.
        settings: Vocabulary size, pattern, and so on; checked here.
        leading: How many of the most frequent pairs each `Merged` lists.

    Raises:
        LabError: A setting is outside its limits, or a text cannot be read.
    """
    check(settings)
    _learn({}, settings, leading)  # its checks, at the click
    return _train(count_words(texts, pattern(settings.pattern)), settings, leading)


def _learn(
    words: Mapping[bytes, int], settings: TrainSettings, leading: int
) -> Iterator[Merged | Progress | Finished[Learned]]:
    return learn_merges(
        words, settings.vocab_size, settings.min_frequency, settings.special_token_list, leading=leading
    )


def _train(
    counting: Iterator[Progress | Finished[WordCounts]], settings: TrainSettings, leading: int
) -> Iterator[Progress | Counted | Merged | Finished[Learned]]:
    for event in counting:
        if isinstance(event, Finished):
            yield Counted(event.result)
            yield from _learn(event.result.words, settings, leading)
        else:
            yield event
