"""Writing token by token: cached or not, in pieces or at once, the same."""

from __future__ import annotations

import pytest
import torch

from core.model.config import ModelConfig
from core.model.edits import Edits, Replaced
from core.model.generation import Reader, Wrote, generate
from core.model.initial import new_model
from core.model.settings import GenerationSettings
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Progress, run_to_end

LLAMA = ModelConfig(
    family="llama", vocab_size=61, context=400, width=16, layers=3, heads=4, kv_heads=2, head_width=4, hidden=24,
    norm="rms", norm_eps=1e-5, positions="rope", mlp="swiglu", attention_bias=False, mlp_bias=False, qk_norm=False,
    tied=False,
)  # fmt: skip
GPT2 = ModelConfig(
    family="gpt2", vocab_size=61, context=400, width=16, layers=2, heads=2, kv_heads=2, head_width=8, hidden=32,
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


def logits(reader: Reader, ids: list[int]) -> torch.Tensor:
    reading = reader.read(ids)
    try:
        while True:
            next(reading)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def test_reading_in_pieces_is_reading_at_once(model: Transformer) -> None:
    ids = torch.randint(0, 61, (390,)).tolist()
    with torch.inference_mode():
        whole = model(torch.tensor([ids]))[0]
    reader = Reader(model)
    for end in (1, 2, 3, 300, 301, 390, 120, 121, 390, 390):
        assert torch.allclose(logits(reader, ids[:end]), whole[end - 1], atol=1e-4)
    changed = [*ids[:50], (ids[50] + 1) % 61, *ids[51:200]]
    with torch.inference_mode():
        expected = model(torch.tensor([changed]))[0, -1]
    assert torch.allclose(logits(reader, changed), expected, atol=1e-4)


def test_greedy_text_is_the_most_probable_token_each_time(model: Transformer) -> None:
    ids = [3, 1, 4, 1, 5]
    written = run_to_end(
        generate(Reader(model), ids, GenerationSettings(temperature=0.0, max_tokens=30))
    ).result
    text = list(ids)
    for _ in range(30):
        with torch.inference_mode():
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    assert [*ids, *written.ids] == text
    assert written.stopped_by is None


def test_the_same_seed_gives_the_same_text(model: Transformer) -> None:
    def text(seed: int) -> tuple[int, ...]:
        settings = GenerationSettings(max_tokens=40, seed=seed)
        return run_to_end(generate(Reader(model), [7], settings)).result.ids  # type: ignore[no-any-return]

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_a_stop_token_ends_the_text_and_is_no_part_of_it(model: Transformer) -> None:
    settings = GenerationSettings(temperature=0.0, max_tokens=50)
    free = run_to_end(generate(Reader(model), [7], settings)).result.ids
    stop = free[3]
    finished = run_to_end(generate(Reader(model), [7], settings, stop=frozenset({stop})))
    assert finished.result.ids == free[: free.index(stop)]
    assert finished.result.stopped_by == stop
    assert "ended the text" in finished.reason


def test_a_full_context_ends_the_text_calmly(model: Transformer) -> None:
    ids = [1] * 395
    events = list(generate(Reader(model), ids, GenerationSettings(max_tokens=100)))
    assert sum(isinstance(event, Wrote) for event in events) == 5
    assert "400 tokens is full" in events[-1].reason  # type: ignore[union-attr]
    assert isinstance(events[0], Progress)


def test_each_event_says_how_probable_the_token_was(model: Transformer) -> None:
    events = [e for e in generate(Reader(model), [2, 3], GenerationSettings(max_tokens=5, top_k=4), with_logits=True)
              if isinstance(e, Wrote)]  # fmt: skip
    for event in events:
        assert event.logits is not None
        assert event.probability == pytest.approx(float(event.logits.softmax(-1)[event.id]))
        assert event.chosen_from == 4


@pytest.mark.parametrize(
    ("ids", "words"),
    [([], "no token"), ([61], "no token 61"), ([-1], "no token -1"), ([1] * 401, "401 tokens")],
)
def test_a_text_that_cannot_be_read_is_refused(model: Transformer, ids: list[int], words: str) -> None:
    with pytest.raises(LabError, match=words):
        run_to_end(generate(Reader(model), ids, GenerationSettings()))


def test_tracing_does_not_change_the_logits(model: Transformer) -> None:
    ids = torch.randint(0, 61, (1, 30))
    with torch.inference_mode():
        for explicit in (False, True):
            trace = Trace(["*"])
            assert torch.equal(model(ids, explicit=explicit), model(ids, explicit=explicit, trace=trace))
            assert not trace.not_finite
            assert ("blocks.0.attn.pattern" in trace.tensors) == explicit


def test_the_parts_of_a_trace_add_up(model: Transformer) -> None:
    trace = Trace(["*"])
    with torch.inference_mode():
        logits = model(torch.randint(0, 61, (2, 12)), explicit=True, trace=trace)
    for n in range(model.config.layers):
        at = f"blocks.{n}"
        pattern = trace[f"{at}.attn.pattern"]
        assert torch.allclose(pattern.sum(-1), torch.ones(pattern.shape[:-1]), atol=1e-6)
        assert bool((pattern.triu(1) == 0).all())
        bias = model.blocks[n].attn.out.bias
        added = trace[f"{at}.attn.result"].sum(2) + (0 if bias is None else bias)
        assert torch.allclose(added, trace[f"{at}.attn_out"], atol=1e-5)
        assert torch.allclose(
            trace[f"{at}.resid_pre"] + trace[f"{at}.attn_out"] + trace[f"{at}.mlp_out"], trace[f"{at}.resid_post"],
            atol=1e-5,
        )  # fmt: skip
    assert torch.equal(trace["logits"], logits)


def test_the_two_paths_agree(model: Transformer) -> None:
    fused, explicit = Trace(["*.attn_out"]), Trace(["*.attn_out"])
    ids = torch.randint(0, 61, (1, 200))
    with torch.inference_mode():
        model(ids, trace=fused)
        model(ids, explicit=True, trace=explicit)
    for name, tensor in fused.tensors.items():
        assert torch.allclose(tensor, explicit[name], atol=1e-5)


def test_a_head_that_is_switched_off_adds_nothing(model: Transformer) -> None:
    trace = Trace(["*.attn.z", "*.mlp_out"])
    edits = Edits(heads={(1, 0): Replaced(), (1, 1): Replaced(0.5, torch.ones(model.config.head_width))},
                  mlps={0: Replaced()})  # fmt: skip
    plain = Trace(["*.attn.z"])
    ids = torch.randint(0, 61, (1, 9))
    with torch.inference_mode():
        model(ids, trace=plain, edits=Edits(mlps={0: Replaced()}))
        model(ids, trace=trace, edits=edits)
    z = trace["blocks.1.attn.z"]
    assert bool((z[:, :, 0] == 0).all())
    assert torch.allclose(z[:, :, 1], 0.5 * plain["blocks.1.attn.z"][:, :, 1] + 1)
    assert bool((trace["blocks.0.mlp_out"] == 0).all())


def test_what_is_not_finite_is_named() -> None:
    model = new_model(GPT2, torch.Generator().manual_seed(1)).requires_grad_(False)
    model.blocks[1].mlp.down.weight[0, 0] = float("nan")
    trace = Trace(["blocks.*.resid_mid", "blocks.*.mlp_out", "logits"])
    with torch.inference_mode():
        model(torch.tensor([[1, 2]]), trace=trace)
    assert trace.not_finite == ["blocks.1.mlp_out", "logits"]


def test_two_texts_on_one_model_do_not_disturb_each_other(model: Transformer) -> None:
    """Two stages, one thread, taking turns; each as if alone."""
    settings = GenerationSettings(max_tokens=20, seed=5)
    alone = [run_to_end(generate(Reader(model), ids, settings)).result.ids for ids in ([1, 2], [9, 8, 7])]
    both = [generate(Reader(model), ids, settings) for ids in ([1, 2], [9, 8, 7])]
    told: list[list[int]] = [[], []]
    for _ in range(60):
        for stage, ids in zip(both, told, strict=True):
            event = next(stage, None)
            if isinstance(event, Wrote):
                ids.append(event.id)
    assert [tuple(ids) for ids in told] == alone
