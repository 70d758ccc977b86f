"""Looking inside: patterns made on demand, parts that add up, heads switched off, layers read early."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from core.interpret import inside as inside_module
from core.interpret.ablation import ablate, switched_off
from core.interpret.contributions import contributions
from core.interpret.heads import MEASURES, LayerMeasured, label_of, measure_heads, probe_sentences
from core.interpret.inside import Inside, Pooled, look_inside
from core.interpret.lens import LensRow, lens_cell, logit_lens
from core.model.config import ModelConfig
from core.model.initial import new_model
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end

LLAMA = ModelConfig(
    family="llama", vocab_size=61, context=400, width=16, layers=5, heads=4, kv_heads=2, head_width=4, hidden=24,
    norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False, qk_norm=True,
    tied=False,
)  # fmt: skip
GPT2 = ModelConfig(
    family="gpt2", vocab_size=61, context=400, width=16, layers=3, heads=2, kv_heads=2, head_width=8, hidden=32,
    norm="layer", norm_eps=1e-5, positions="learned", mlp="gelu_tanh", attention_bias=True, mlp_bias=True,
    qk_norm=False, tied=True,
)  # fmt: skip


@pytest.fixture(params=[LLAMA, GPT2], ids=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> Transformer:
    made = new_model(request.param, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return made.requires_grad_(False).eval()


def inside(model: Transformer, ids: list[int]) -> Inside:
    return run_to_end(look_inside(model, ids)).result  # type: ignore[no-any-return]


def traced(model: Transformer, ids: list[int]) -> Trace:
    trace = Trace(["*"])
    with torch.inference_mode():
        model(torch.tensor([ids]), explicit=True, trace=trace)
    return trace


@pytest.mark.parametrize("tight", [False, True])
def test_what_is_made_on_demand_is_what_the_pass_had(
    model: Transformer, tight: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tight:  # little memory: not every layer is kept, and patterns come in tiles of a few rows
        for limit in ("KEPT_AT_MOST", "KEPT_OF_LONG"):
            monkeypatch.setattr(inside_module, limit, 3 * 4 * 70 * 16)
        monkeypatch.setattr(inside_module, "_TILE", 4 * 70 * 8 * model.config.heads)
        monkeypatch.setattr(inside_module, "_ROWS", 1)
        monkeypatch.setattr(inside_module, "_AT_ONCE", 32)  # a long text: blocks read it in pieces
    ids = torch.randint(0, 61, (70,)).tolist()
    seen, trace = inside(model, ids), traced(model, ids)
    for n in (0, model.config.layers - 1, 1, 2):
        assert torch.allclose(seen.stream(n), trace[f"blocks.{n}.resid_pre"], atol=1e-5)
        for head in range(model.config.heads):
            expected = trace[f"blocks.{n}.attn.pattern"][0, head]
            assert torch.allclose(seen.pattern(n, head), expected, atol=1e-5)
            assert torch.allclose(seen.row(n, head, 33), expected[33], atol=1e-5)
            pooled = seen.pooled(n, head, 20)[0]
            assert pooled.shape == (20, 20)
            assert torch.allclose(pooled.max(), expected.max(), atol=1e-5)
        assert torch.allclose(seen.z(n, 50), trace[f"blocks.{n}.attn.z"][0, 50], atol=1e-5)
    vectors = seen.head(1, 1)
    assert torch.allclose(vectors.query, trace["blocks.1.attn.q"][0, 1], atol=1e-5)
    assert torch.allclose(
        vectors.value,
        trace["blocks.1.attn.v"][0, 1 // (model.config.heads // model.config.kv_heads)],
        atol=1e-5,
    )
    assert torch.allclose(seen.logits(), trace["logits"][0], atol=1e-4)


@pytest.mark.parametrize(("tokens", "size"), [(10, 16), (64, 16), (70, 16), (31, 30), (1, 4)])
def test_pictures_against_torchs_own_pooling(tokens: int, size: int) -> None:
    whole = torch.rand(3, tokens, tokens).tril()
    pooled = Pooled(3, tokens, size)
    for begin in range(0, tokens, 7):
        end = min(begin + 7, tokens)
        pooled.add(begin, whole[:, begin:end, :end])
    n = min(size, tokens)
    assert torch.equal(pooled.cells, torch.nn.functional.adaptive_max_pool2d(whole, (n, n)))


@pytest.mark.parametrize("step", [1, 32, 70, 100])
def test_a_block_reads_a_long_text_as_it_reads_any(model: Transformer, step: int) -> None:
    with torch.inference_mode():
        x, rope = model.embed_at(torch.arange(60)[None]), model.rope(0, 60)
        for n in range(model.config.layers):
            expected = model.block(n)(x, rope)
            assert torch.allclose(model.block(n).read_long(x, rope, step), expected, atol=1e-5)
            x = expected


def test_what_no_token_may_see_is_exactly_nothing(model: Transformer) -> None:
    pattern = inside(model, list(range(40))).pattern(1, 0)
    assert bool((pattern.triu(1) == 0).all())
    assert torch.allclose(pattern.sum(-1), torch.ones(40), atol=1e-6)


@pytest.mark.parametrize("position", [0, 7, -1])
def test_the_parts_of_a_logit_add_up(model: Transformer, position: int) -> None:
    parts = contributions(inside(model, [5, 9, 5, 33, 60, 1, 2, 3, 4, 0]), position, 17)
    assert parts.total == pytest.approx(parts.logit, abs=1e-4)
    assert parts.heads.shape == (model.config.layers, model.config.heads)


def test_the_lens_ends_with_what_the_model_says(model: Transformer) -> None:
    ids = torch.randint(0, 61, (150,)).tolist()
    seen = inside(model, ids)
    rows = [event for event in logit_lens(seen) if isinstance(event, LensRow)]
    assert [row.layer for row in rows] == list(range(model.config.layers, -1, -1))
    expected = seen.logits().softmax(-1).max(-1)
    assert torch.equal(rows[0].tokens, expected.indices)
    assert torch.allclose(rows[0].probabilities, rows[0].of_final)
    trace = traced(model, ids)
    with torch.inference_mode():
        first = model.head(trace["blocks.0.resid_pre"])[0].softmax(-1)
    assert torch.equal(rows[-1].tokens, first.argmax(-1))


class ByHand:
    """A text with a pattern made by hand, handed over a row at a time."""

    def __init__(self, ids: list[int], pattern: torch.Tensor) -> None:
        self.ids, self._pattern = ids, pattern
        self.model = SimpleNamespace(blocks=[None])

    def tiles(self, layer: int) -> Iterator[tuple[int, torch.Tensor]]:
        for row in range(len(self.ids)):
            yield row, self._pattern[None, row : row + 1, : row + 1]


def measured(ids: list[int], looks: list[int]) -> LayerMeasured:
    """Each token looks with all its weight at one place."""
    pattern = torch.zeros(len(ids), len(ids))
    pattern[torch.arange(len(ids)), torch.tensor(looks)] = 1
    made = measure_heads(cast(Inside, ByHand(ids, pattern)))
    return next(event for event in made if isinstance(event, LayerMeasured))


def test_a_cell_of_the_lens_begins_with_what_its_row_says(model: Transformer) -> None:
    read = inside(model, [3, 1, 4, 1, 5])
    for row in (event for event in logit_lens(read) if isinstance(event, LensRow)):
        cell = lens_cell(read, row.layer, 2, 4)
        assert len(cell) == 4
        assert cell[0] == (int(row.tokens[2]), pytest.approx(float(row.probabilities[2]), abs=1e-6))


def test_a_head_is_named_after_what_it_does() -> None:
    """Every token looks at the one before."""
    layer = measured([1, 2, 3, 1, 2, 3], [0, 0, 1, 2, 3, 4])
    scores = {name: float(score[0]) for name, score in layer.scores.items()}
    assert scores["previous"] == 1
    assert scores["first"] == pytest.approx(0.2)
    assert scores["same"] == 0
    assert scores["itself"] == 0
    assert layer.n["same"] == layer.n["induction"] == 3
    assert label_of(scores) == ("previous", 1.0)


def test_induction_is_looking_at_what_came_after() -> None:
    layer = measured([1, 2, 3, 1, 2, 3], [0, 0, 0, 1, 2, 3])  # from the second 1 on: after the earlier one
    assert float(layer.scores["induction"][0]) == 1
    assert layer.n["induction"] == 3


def test_a_measure_without_a_place_is_no_number() -> None:
    layer = measured([1, 2, 3], [0, 0, 1])
    assert layer.n["same"] == 0
    assert layer.scores["same"].isnan().all()


def test_measures_and_pictures_do_not_depend_on_the_tiles(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [n * 7 % 11 for n in range(90)]
    whole = [e for e in measure_heads(inside(model, ids), size=16) if isinstance(e, LayerMeasured)]
    monkeypatch.setattr("core.interpret.inside._TILE", 1)
    monkeypatch.setattr("core.interpret.inside._ROWS", 7)
    tiled = [e for e in measure_heads(inside(model, ids), size=16) if isinstance(e, LayerMeasured)]
    for one, other in zip(whole, tiled, strict=True):
        assert one.n == other.n
        assert torch.allclose(one.thumbnails, other.thumbnails, atol=1e-6)
        for name, scores in one.scores.items():
            assert torch.allclose(scores, other.scores[name], atol=1e-5, equal_nan=True), name


def test_measures_of_a_text(model: Transformer) -> None:
    ids = [1, 2, 3, 4, 1, 2, 3, 4] * 10
    events = [
        event for event in measure_heads(inside(model, ids), size=32) if isinstance(event, LayerMeasured)
    ]
    assert len(events) == model.config.layers
    assert events[0].thumbnails.shape == (model.config.heads, 32, 32)
    assert set(events[0].scores) <= {measure.name for measure in MEASURES}
    pattern = traced(model, ids)["blocks.0.attn.pattern"][0]
    assert torch.allclose(events[0].scores["previous"], pattern.diagonal(-1, 1, 2).mean(-1), atol=1e-5)
    assert torch.allclose(events[0].scores["first"], pattern[:, 1:, 0].mean(-1), atol=1e-5)


def test_the_probe_is_balanced() -> None:
    sentences = probe_sentences()
    assert len(sentences) == 32
    assert len({sentence.text for sentence in sentences}) == 32
    for sentence in sentences:
        assert sentence.words[sentence.pronoun] == "it"
        assert sentence.antecedent in (1, 5)
    assert sum(sentence.antecedent == sentence.subject for sentence in sentences) == 16
    nouns = [sentence.words[1] for sentence in sentences]
    assert all(nouns.count(noun) == 2 for noun in nouns)


def test_switching_off_a_head(model: Transformer) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    events = list(ablate(model, ids, None, [(1, 0)], random_sets=4))
    result = events[-1].result  # type: ignore[union-attr]
    with torch.inference_mode():
        plain = model(torch.tensor([ids]))[0].log_softmax(-1)
        edited = model(torch.tensor([ids]), edits=switched_off(model, ids, [(1, 0)]))[0].log_softmax(-1)
    assert torch.allclose(result.effect.before, plain[-1], atol=1e-5)
    assert torch.allclose(result.effect.after, edited[-1], atol=1e-5)
    expected = -float(plain[range(7), ids[1:]].mean())
    assert result.effect.loss_before == pytest.approx(expected, abs=1e-5)
    assert result.effect.divergence >= 0
    assert len(result.band.changes) == 4
    low, high = result.band.span
    assert result.band.outside(high + 1)
    assert not result.band.outside((low + high) / 2)


def test_an_mlp_stands_among_other_mlps(model: Transformer) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    result = run_to_end(ablate(model, ids, 3, [], mlps=[1])).result
    others = [n for n in range(model.config.layers) if n != 1]
    assert len(result.band.changes) == len(others)  # there are no more sets of one
    alone = [run_to_end(ablate(model, ids, 3, [], mlps=[n])).result.effect.change_of(3) for n in others]
    assert sorted(result.band.changes) == pytest.approx(sorted(alone), abs=1e-6)


def test_where_no_other_mlp_is_left_there_is_no_band(model: Transformer) -> None:
    everything = list(range(model.config.layers))
    assert run_to_end(ablate(model, [1, 2], None, [], mlps=everything)).result.band is None


def test_mean_ablation_of_a_constant_head_changes_nothing(model: Transformer) -> None:
    ids = [7]  # one token: its mean is itself
    result = list(ablate(model, ids, 3, [(0, 0), (1, 1)], mlps=[0], kind="mean", random_sets=0))[-1].result  # type: ignore[union-attr]
    assert result.effect.change_of(3) == pytest.approx(0, abs=1e-5)
    assert math.isnan(result.effect.loss_before)
    assert result.band is None


@pytest.mark.parametrize(
    ("heads", "mlps", "kind", "words"),
    [([(9, 0)], [], "zero", "no head 0 in layer 9"), ([(0, 9)], [], "zero", "no head 9"), ([], [9], "zero", "no layer 9"),
     ([], [], "melt", "'melt'")],
)  # fmt: skip
def test_what_is_not_there_cannot_be_switched_off(
    model: Transformer, heads: list[tuple[int, int]], mlps: list[int], kind: str, words: str
) -> None:
    with pytest.raises(LabError, match=words):
        ablate(model, [1, 2], None, heads, mlps, kind)


def test_random_sets_come_from_the_same_layers_and_leave_the_set_out(model: Transformer) -> None:
    from core.interpret.ablation import _random_sets

    heads = [(1, 0), (2, 1)]
    for drawn, mlps in _random_sets(model, heads, [0], 30, 0):
        assert len(mlps) == 1
        assert mlps != [0]
        assert sorted(layer for layer, _ in drawn) == [1, 2]
        assert not set(drawn) & set(heads)


@pytest.mark.parametrize("ids", [[], [1] * 401])
def test_a_text_that_does_not_fit_is_refused(model: Transformer, ids: list[int]) -> None:
    with pytest.raises(LabError):
        look_inside(model, ids)
