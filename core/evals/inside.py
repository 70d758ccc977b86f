"""What a model of the small world has inside: a head that looks at nouns, words and senses that lie near.

Nothing is generated here; weights of attention, token embeddings and the residual stream are read.

B texts, T tokens, H heads, W width, V words.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.corpus.smallworld.items import Analogy, Choice, SenseItem
from core.evals.answers import document_ids, equal_lengths, start_id
from core.evals.intervals import wilson
from core.evals.scored import Answer, Scored, score_answers
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.stages import Progress
from core.tokenizer.tokenizer import Tokenizer

FIRST_RANKS = 3  # in which the right word of an analogy has to be
_ANALOGIES_AT_ONCE = 256
_NEAR = 0.95
_WORD = re.compile(r"\w+")
_TABLE = "Word vectors lose their mean over all {n:,} words of one token, and are made equally long."


# The head that looks at the right noun


def look_for_head(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[Choice]
) -> Generator[Progress, None, Scored]:
    """The head whose weight on the right noun exceeds that on the wrong one the most, at the last "The".

    It is chosen on the first of every two pairs and counted on the second, so that the choice flatters
    nobody.

    Args:
        model: Which model.
        tokenizer: Its tokenizer.
        items: In twos, as `pronoun_items` gives them.
    """
    weights = torch.zeros(len(items), 2, model.config.layers, model.config.heads)
    rows = [document_ids(tokenizer, item.prompt) for item in items]
    done = 0
    for numbers, ids in equal_lengths(model, rows):
        trace = Trace(["blocks.*.attn.pattern"])
        with torch.inference_mode():
            model.read(ids, explicit=True, trace=trace)
        for row, number in enumerate(numbers):
            places = noun_places(tokenizer, items[number])
            for layer in range(model.config.layers):
                last = trace[f"blocks.{layer}.attn.pattern"][row, :, -1]  # (H, T)
                weights[number, :, layer] = torch.stack([last[:, place] for place in places])
        done += len(numbers)
        yield Progress("Looking where heads look", done, len(items), "questions")
    pair = torch.arange(len(items)) // 2
    chosen, counted = weights[pair % 2 == 0], weights[pair % 2 == 1]
    if not len(counted):
        chosen = counted = weights
    found = int((chosen[:, 0] - chosen[:, 1]).mean(0).flatten().argmax())
    layer, head = divmod(found, model.config.heads)
    right, wrong = counted[:, 0, layer, head], counted[:, 1, layer, head]  # (n,)
    hits = int((right > wrong).sum())
    low, high = wilson(hits, len(counted))
    detail = (
        f"Head {head} of layer {layer} (both counted from 0) was found on half of the pairs. On the others, "
        f"at the last “The”, its mean weight is {right.mean():.2f} on the right noun and {wrong.mean():.2f} "
        "on the wrong one; counted is how often the right one has more."
    )
    title = "A head looks at the right noun before it is named"
    return Scored("P5 head", title, hits, len(counted), low, high, detail=detail)


def noun_places(tokenizer: Tokenizer, item: Choice) -> tuple[int, int]:
    """Where the right and the wrong noun of an item are read: their last tokens, the separator counted."""
    lead = int(start_id(tokenizer) is not None)
    spans = list(tokenizer.token_spans(item.prompt))
    ends = []
    for noun in (item.right.strip(), item.wrong[0].strip()):
        words = (word for word in _WORD.finditer(item.prompt) if word.group() == noun)
        end = next((word.end() for word in words), len(item.prompt))
        ends.append(lead + next(n for n, span in enumerate(spans) if span.end >= end))
    return ends[0], ends[1]


# Analogies among token embeddings


def find_analogies(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[Analogy]
) -> Generator[Progress, None, tuple[Scored, ...]]:
    """Where the right word stands when all words are ordered by their cosine to a − b + c.

    The three given words are left out, as in Mikolov, Yih and Zweig, Linguistic Regularities in Continuous
    Space Word Representations, NAACL 2013, section 4.
    """
    words = one_token_words(tokenizer, model.config.vocab_size)
    place = {word: n for n, word in enumerate(words)}
    table = model.embed.weight.detach()[list(words.values())].float()  # (V, W)
    table = normalize(table - table.mean(0), dim=1) if words else table
    used = [item for item in items if all(word in place for word in (item.a, item.b, item.c, item.right))]
    names = list(words)
    ranked: list[tuple[Analogy, int, str]] = []
    for begin in range(0, len(used), _ANALOGIES_AT_ONCE):
        some = used[begin : begin + _ANALOGIES_AT_ONCE]
        at = torch.tensor(
            [[place[word] for word in (one.a, one.b, one.c, one.right)] for one in some]
        )  # (B, 4)
        aim = table[at[:, 0]] - table[at[:, 1]] + table[at[:, 2]]  # (B, W)
        near = normalize(aim, dim=1) @ table.T  # (B, V)
        own = near.gather(1, at[:, 3:])  # (B, 1)
        near.scatter_(1, at[:, :3], -torch.inf)
        ranks = (near > own).sum(1) + 1
        best = near.argmax(1)
        ranked += zip(some, ranks.tolist(), [names[n] for n in best.tolist()], strict=True)
        yield Progress("Trying analogies", begin + len(some), len(used), "analogies")
    groups = dict.fromkeys(item.group for item in items)
    skipped = {group: sum(one.group == group for one in items) for group in groups}
    for one in used:
        skipped[one.group] -= 1
    told = _TABLE.format(n=len(words))
    return tuple(
        _analogies(group, [row for row in ranked if row[0].group == group], skipped[group], told)
        for group in groups
    )


def _analogies(group: str, ranked: list[tuple[Analogy, int, str]], skipped: int, told: str) -> Scored:
    """The figure of a group; king − man + woman has to be first, the others among the first three."""
    within, bar = (1, 1.0) if group == "king" else (FIRST_RANKS, _NEAR)
    answers = [
        Answer(
            f"{one.a.strip()} − {one.b.strip()} + {one.c.strip()}",
            one.right.strip(),
            best.strip(),
            rank <= within,
        )
        for one, rank, best in ranked
    ]
    title = {
        "king": "king − man + woman: queen is first",
        "gender pairs": f"Gender pairs: the right word is among the first {within}",
        "capitals": f"Capitals: the right city is among the first {within}",
    }[group]
    if skipped:
        told += f" Left out, since a word is not one token: {skipped:,} of {skipped + len(ranked):,}."
    made = score_answers(f"P6 {group}", title, answers, bar, told)
    first = sum(rank == 1 for _, rank, _ in ranked)
    groups = (("first", first, made.n), (f"among the first {within}", made.right, made.n))
    return Scored(made.name, title, made.right, made.n, made.low, made.high, bar, groups, told, made.examples)


def one_token_words(tokenizer: Tokenizer, size: int) -> dict[str, int]:
    """Words with their leading space that are one token, and its id below `size`."""
    found = {}
    for id_, token in enumerate(tokenizer.tokens[:size]):
        if token and token[:1] == b" " and token[1:].isalpha():
            found[token.decode("ascii")] = id_
    return found


# Senses in the residual stream


def tell_senses(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[SenseItem]
) -> Generator[Progress, None, tuple[Scored, ...]]:
    """For each word: how often the nearest other sentence, by the stream at the word, has the same sense.

    Near is a large cosine. Layer 0 is the stream before the first block, layer n after the nth.
    """
    layers = model.config.layers
    streams = torch.zeros(layers + 1, len(items), model.config.width)
    rows = [document_ids(tokenizer, item.text) for item in items]
    done = 0
    for numbers, ids in equal_lengths(model, rows):
        trace = Trace(["blocks.0.resid_pre", "blocks.*.resid_post"])
        with torch.inference_mode():
            model.read(ids, trace=trace)
        streams[0, numbers] = trace["blocks.0.resid_pre"][:, -1].float()
        for layer in range(layers):
            streams[layer + 1, numbers] = trace[f"blocks.{layer}.resid_post"][:, -1].float()
        done += len(numbers)
        yield Progress("Reading senses", done, len(items), "sentences")
    return tuple(
        _senses(word, [item for item in items if item.word == word],
                streams[:, [n for n, item in enumerate(items) if item.word == word]])
        for word in dict.fromkeys(item.word for item in items)
    )  # fmt: skip


def _senses(word: str, items: list[SenseItem], streams: Tensor) -> Scored:
    """The figure of one word, from its streams, (layers + 1, n, W)."""
    nearest = nearest_others(streams)  # (layers + 1, n)
    same = [
        [items[other].sense == item.sense for item, other in zip(items, row, strict=True)]
        for row in nearest.tolist()
    ]
    hits = [sum(row) for row in same]
    best = max(range(len(hits)), key=lambda layer: hits[layer])
    answers = [
        Answer(item.text, item.sense, f"{items[other].sense}: {items[other].text}", right)
        for item, other, right in zip(items, nearest[best].tolist(), same[best], strict=True)
    ]
    detail = f"After layer {best} of {len(hits) - 1}, the best one (0 is before the first block)."
    made = score_answers(
        f"P8 {word}", f"Two senses of “{word}”: the nearest sentence has the same", answers, _NEAR, detail
    )
    groups = tuple((f"layer {layer}", right, len(items)) for layer, right in enumerate(hits))
    return Scored(
        made.name, made.title, made.right, made.n, made.low, made.high, _NEAR, groups, detail, made.examples
    )


def nearest_others(streams: Tensor) -> Tensor:
    """For each of n vectors, (…, n, W), which other one has the largest cosine, (…, n).

    >>> nearest_others(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])).tolist()
    [1, 0, 1]
    """
    unit = normalize(streams, dim=-1)
    near = unit @ unit.transpose(-1, -2)  # (…, n, n)
    own = torch.eye(near.shape[-1], dtype=torch.bool)
    return near.masked_fill(own, -torch.inf).argmax(-1)
