"""Perplexity: against its definition, in windows, and against Hugging Face's own recipe."""

from __future__ import annotations

import math

import pytest
import torch

from core.evals.scores import Score, ScoreSettings, Surprises, score_tokens
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished
from tests.core.model.test_fast import small_model


@pytest.fixture(scope="module")
def model() -> Transformer:
    made = small_model()
    with torch.inference_mode():
        made.embed.weight *= 40  # surprises that differ
    return made


def scored(
    model: Transformer, ids: list[int], settings: ScoreSettings | None = None
) -> tuple[torch.Tensor, Score]:
    nats = torch.full((len(ids),), torch.nan)
    result: Score | None = None
    for event in score_tokens(model, ids, [2] * len(ids), settings):
        if isinstance(event, Surprises):
            place = slice(event.begin, event.begin + len(event.nats))
            assert nats[place].isnan().all(), "no token is scored twice"
            nats[place] = event.nats
        if isinstance(event, Finished):
            result = event.result
    assert result is not None
    assert nats[0].isnan()
    assert not nats[1:].isnan().any(), "every token but the first"
    return nats[1:], result


def text(length: int) -> list[int]:
    return torch.randint(96, (length,), generator=torch.Generator().manual_seed(length)).tolist()


def test_it_is_the_definition(model: Transformer) -> None:
    ids = text(100)
    with torch.inference_mode():
        logs = model(torch.tensor([ids]))[0].log_softmax(-1)
    expected = -logs[torch.arange(99), torch.tensor(ids[1:])]
    nats, score = scored(model, ids)
    assert torch.allclose(nats, expected, atol=1e-5)
    assert score.tokens == 99
    assert score.windows == 1
    assert score.perplexity == pytest.approx(math.exp(float(expected.double().mean())), rel=1e-6)
    assert score.bits_per_byte == pytest.approx(float(expected.double().sum()) / math.log(2) / (99 * 2))


@pytest.mark.parametrize(("length", "window", "overlap"), [(300, 64, 0.5), (301, 128, 0.25), (40, 10, 0.0), (77, 2, 0.9)])  # fmt: skip
def test_windows_overlap_and_score_every_token_once(
    model: Transformer, length: int, window: int, overlap: float
) -> None:
    """Against a plain loop over windows, each read anew."""
    ids = text(length)
    expected: list[float] = []
    begin, done, windows = 0, 1, 0
    while done < length:
        begin = 0 if not windows else done - max(1, int(window * overlap))
        part = ids[begin : begin + window]
        with torch.inference_mode():
            logs = model(torch.tensor([part]))[0].log_softmax(-1)
        expected += [-float(logs[i - begin - 1, ids[i]]) for i in range(done, begin + len(part))]
        done = begin + len(part)
        windows += 1
    nats, score = scored(model, ids, ScoreSettings(window, overlap))
    assert score.windows == windows
    assert torch.allclose(nats, torch.tensor(expected), atol=1e-4)


def test_a_window_is_never_longer_than_the_context(model: Transformer) -> None:
    _, score = scored(model, text(200), ScoreSettings(window=100_000))
    assert score.window == model.config.context == 128


def test_ranks_and_alternatives_are_those_of_the_logits(model: Transformer) -> None:
    ids = text(30)
    with torch.inference_mode():
        logits = model(torch.tensor([ids]))[0]
    event = next(e for e in score_tokens(model, ids, [1] * 30) if isinstance(e, Surprises))
    for n in range(29):
        order = logits[n].argsort(descending=True).tolist()
        assert order.index(ids[n + 1]) == int(event.ranks[n])
        assert order[:5] == event.best[n].tolist()
    assert torch.allclose(event.best_probabilities[:, 0], logits[:29].softmax(-1).amax(-1), atol=1e-6)


@pytest.mark.parametrize("ids", [[], [3]])
def test_too_short_a_text_is_refused(model: Transformer, ids: list[int]) -> None:
    with pytest.raises(LabError, match="at least two"):
        score_tokens(model, ids, [1] * len(ids))


def test_a_wrong_setting_is_refused(model: Transformer) -> None:
    with pytest.raises(LabError, match="Window"):
        score_tokens(model, text(5), [1] * 5, ScoreSettings(window=1))


def test_an_impossible_text_is_infinitely_perplexing() -> None:
    assert Score(tokens=1, nats=1e6, bytes=1, windows=1, window=2).perplexity == math.inf
