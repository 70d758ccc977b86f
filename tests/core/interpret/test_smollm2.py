"""The claims about SmolLM2 that the Attention lab tells, computed by its own code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.interpret.ablation import ablate
from core.interpret.heads import ProbeScores, label_of, probe_heads
from core.interpret.inside import Inside, look_inside
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.known import known_path, load_known
from core.tokenizer.tokenizer import Tokenizer

SCENES = sorted((Path(__file__).parents[3] / "resources/scenes/attention").glob("ablation-*.json"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    try:
        return load_known("smollm2")
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    return run_to_end(load_model(open_model(known_path("smollm2")))).result  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def probed(model: Transformer, tokenizer: Tokenizer) -> ProbeScores:
    return run_to_end(probe_heads(model, lambda text: list(tokenizer.encode(text)))).result  # type: ignore[no-any-return]


def inside(model: Transformer, tokenizer: Tokenizer, text: str) -> Inside:
    return run_to_end(look_inside(model, list(tokenizer.encode(text)))).result  # type: ignore[no-any-return]


def test_layer_13_head_8(model: Transformer, tokenizer: Tokenizer) -> None:
    """The cat sat on the mat because it was tired: 1 cat, 3 on, 5 mat, 7 it, 9 the adjective."""
    tired = inside(model, tokenizer, "The cat sat on the mat because it was tired.").pattern(13, 8)
    soft = inside(model, tokenizer, "The cat sat on the mat because it was soft.").pattern(13, 8)
    assert float(tired[7, 1]) == pytest.approx(0.80, abs=0.01)
    assert float(tired[9, 1]) == pytest.approx(0.74, abs=0.01)
    assert float(soft[7, 1]) == pytest.approx(0.80, abs=0.01)
    assert float(soft[9, 5]) == pytest.approx(0.75, abs=0.01)
    assert float(tired[3, 1]) == pytest.approx(0.98, abs=0.01)


def test_it_is_a_subject_head_and_no_pronoun_head(
    probed: ProbeScores, report: Callable[[str, object], None]
) -> None:
    subject, pronoun = float(probed.subject[13, 8]), float(probed.pronoun[13, 8])
    report(
        "SmolLM2, layer 13 head 8: subject, pronoun score, sentences",
        [round(subject, 2), round(pronoun, 2), probed.n],
    )
    assert probed.n == 32
    assert subject == float(probed.subject.max())
    assert label_of({"subject": subject, "pronoun": pronoun}) == ("subject", subject)
    assert pronoun < 0.05


def test_without_it_the_answer_is_not_harmed(model: Transformer, tokenizer: Tokenizer) -> None:
    ids = list(
        tokenizer.encode("The cat sat on the mat because it was tired. Question: What was tired? Answer: the")
    )
    result = run_to_end(ablate(model, ids, None, [(13, 8)], random_sets=8)).result
    assert tokenizer.decode([int(result.effect.before.argmax())]) == b" cat"
    change = result.effect.change_of(int(result.effect.before.argmax()))
    assert not result.band.outside(change)


@pytest.mark.parametrize("scene", SCENES, ids=lambda path: path.stem)
def test_what_a_shipped_ablation_says(
    model: Transformer, tokenizer: Tokenizer, report: Callable[[str, object], None], scene: Path
) -> None:
    """A scene that says a head matters: one head, at least 1 nat on the token, outside the random band."""
    data = json.loads(scene.read_text(encoding="utf-8"))
    ids, token = list(tokenizer.encode(data["text"])), tokenizer.encode(data["token"])
    assert len(token) == 1
    head = tuple(data["pins"][0])
    result = run_to_end(ablate(model, ids, token[0], [head])).result
    change = result.effect.change_of(token[0])
    report(f"{scene.stem}: head, change, random band, nats", [head, change, result.band.span])
    assert int(result.effect.before.argmax()) == token[0], "the token is the most probable one"
    if data["matters"]:
        assert change <= -1
        assert result.band.outside(change)
    else:
        assert not result.band.outside(change)


@pytest.mark.parametrize(
    ("text", "head", "expected", "band"),
    [
        ("The capital of France is", (23, 4), -1.70, 0.03),
        ("The capital of Italy is", (23, 4), -2.16, 0.21),
        ("The opposite of hot is", (0, 4), -3.99, 0.33),
        ("The opposite of hot is", (23, 4), 0.00, 0.43),
        ("Le chat est noir. The cat is black. Le chien est blanc. The dog is", (16, 0), -1.89, 0.23),
        ("Le chat est noir. The cat is black. Le chien est blanc. The dog is", (21, 5), -1.53, 0.38),
        ("Le chat est noir. The cat is black. Le chien est blanc. The dog is", (13, 8), 0.19, 0.89),
    ],
)
def test_the_figures_in_the_scenes_are_measured(
    model: Transformer, tokenizer: Tokenizer, text: str, head: tuple[int, int], expected: float, band: float
) -> None:
    result = run_to_end(ablate(model, list(tokenizer.encode(text)), None, [head])).result
    assert result.effect.change_of(int(result.effect.before.argmax())) == pytest.approx(expected, abs=0.02)
    assert max(map(abs, result.band.span)) == pytest.approx(band, abs=0.02)


def test_where_the_heads_of_the_scenes_look(model: Transformer, tokenizer: Tokenizer) -> None:
    seen = inside(model, tokenizer, "The capital of France is")
    assert float(seen.row(23, 4, 4)[3]) == pytest.approx(0.90, abs=0.01)
    seen = inside(model, tokenizer, "Le chat est noir. The cat is black. Le chien est blanc. The dog is")
    assert float(seen.row(16, 0, 20)[19]) == pytest.approx(0.91, abs=0.01)
