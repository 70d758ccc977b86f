"""What the Embeddings lab tells of SmolLM2, computed by its own code (DESIGN 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.embeddings.analogies import analogy, score_suites
from core.embeddings.dots import share_below_zero
from core.embeddings.guess import Game
from core.embeddings.in_text import at_layer, text_streams
from core.embeddings.neighbors import Space
from core.embeddings.senses import leave_one_out, load_samples, occurrences, reference, similarity_by_layer
from core.embeddings.vectors import Vectors, read_token_vectors
from core.model.loading import load_model
from core.model.source import open_model
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.known import known_path, load_known

Report = Callable[[str, Any], None]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    try:
        path = known_path("smollm2")
    except LabError as error:
        pytest.skip(str(error))
    return run_to_end(read_token_vectors(path, "SmolLM2-135M")).result  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def space(vectors: Vectors) -> Space:
    return Space(vectors)


@pytest.mark.parametrize(
    ("question", "answer", "cosine"),
    [
        ("king man woman", " queen", 0.70),
        ("Hitler Germany Italy", " Mussolini", 0.58),
        ("father man woman", " mother", 0.67),
        ("Tokyo Japan China", " Beijing", None),
        ("bigger big small", " smaller", None),
    ],
)
def test_the_classic_analogies(
    space: Space, question: str, answer: str, cosine: float | None, report: Report
) -> None:
    """Centered on the tokens of letters that begin a word, each word with length 1, input words excluded."""
    solved = analogy(space, *question.split())
    first = solved.ranked[0]
    a, b, c = question.split()
    report(f"embeddings: {a} − {b} + {c}", f"{first.name.strip()} {first.value:.3f}")
    assert first.name == answer
    if cosine is not None:
        assert first.value == pytest.approx(cosine, abs=0.02)


def test_what_is_said_of_dot_products(vectors: Vectors, report: Report) -> None:
    raw = Space(vectors, False)
    assert raw.similarity(vectors.row("hot"), vectors.row("cold")) == pytest.approx(0.58, abs=0.02)
    below = share_below_zero(raw)
    report("embeddings: share of pairs below zero, raw, all tokens", round(below.share, 4))
    assert below.share == pytest.approx(0.014, abs=0.002)


def test_the_whole_vocabulary_is_read(vectors: Vectors) -> None:
    assert vectors.values.shape == (49152, 576)
    assert len(vectors.words) == 31_664
    assert np.isfinite(vectors.values).all()


def test_suites_are_scored_with_and_without_the_inputs(space: Space, long: bool, report: Report) -> None:
    """What comes out is reported; that leaving the inputs out helps is all that is promised."""
    if not long:
        pytest.skip("six suites take some seconds: python run.py test --long")
    for scored in run_to_end(score_suites(space)).result:
        report(
            f"embeddings: suite {scored.name}",
            f"{scored.right} of {scored.n} ({scored.low:.0%} to {scored.high:.0%}), "
            f"{scored.right_with_inputs} with the inputs",
        )
        assert scored.right >= scored.right_with_inputs
        assert scored.missing == ()


def test_the_nearest_to_summer_is_its_opposite(space: Space) -> None:
    """What the guessing game asks first: substitutes are near, not what belongs to the same scene."""
    vectors = space.vectors
    game = Game(space, vectors.row("summer"), vectors.words)
    assert [game.score(word).rank for word in ("winter", "hot", "sun")] == [1, 55, 408]
    assert round(game.score("winter").similarity, 2) == 0.81
    assert len(vectors.words) == 31_664


def test_the_senses_of_bank_and_mole(long: bool, report: Report) -> None:
    """40 sentences, the clue before the word; labels shuffled for comparison."""
    if not long:
        pytest.skip("60 sentences through 30 blocks take some seconds: python run.py test --long")
    model = run_to_end(load_model(open_model(known_path("smollm2")))).result
    tokenizer = load_known("smollm2")
    center = run_to_end(reference(model, tokenizer)).result
    for sample in load_samples():
        found = run_to_end(occurrences(model, tokenizer, sample.sentences, sample.word)).result
        assert found.warnings == ()
        for way in (None, center):
            tried = run_to_end(leave_one_out(found, sample.labels, way)).result
            alike = similarity_by_layer(found, sample.labels, way)
            at = tried.best_layer
            report(
                f"embeddings: senses of {sample.word}, {'raw' if way is None else 'less the reference'}",
                f"{tried.right[at]} of {tried.n} at layer {at}; shuffled {tried.shuffled[at]:.2f} there, best layer "
                f"{tried.best_shuffled:.2f} in 95 of 100; cosine {alike.within[at]:.2f} within, "
                f"{alike.across[at]:.2f} across",
            )
            assert tried.right[0] <= 10  # the same row of the table: nothing to tell them apart
            assert tried.right[at] / tried.n > tried.best_shuffled


def test_bank_by_a_river_and_bank_with_a_loan_part_in_a_text(space: Space, report: Report) -> None:
    """`space` is asked for so that the test is skipped where SmolLM2 is not installed."""
    model, tokenizer = run_to_end(load_model(open_model(known_path("smollm2")))).result, load_known("smollm2")
    text = "We pulled the canoe up the muddy bank. Reeds grew along the bank. She took a loan from the bank."
    read = run_to_end(text_streams(model, tokenizer, text, "SmolLM2")).result
    river, reeds, loan = (n for n, name in enumerate(read.names) if name == " bank")
    at = {layer: Space(*at_layer(read, layer)) for layer in (0, 20)}
    assert at[0].similarity(river, loan) == pytest.approx(1, abs=1e-5), "one row of the table"
    assert at[20].similarity(river, reeds) > at[20].similarity(river, loan) + 0.1
    report("embeddings: bank by a river, reeds and a loan, layer 20", [
        round(at[20].similarity(river, one), 2) for one in (reeds, loan)
    ])  # fmt: skip
