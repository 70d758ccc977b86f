"""The senses of a word by layer: measured on streams made by hand, and read from the small world's model."""

from __future__ import annotations

import numpy as np
import pytest

from core.embeddings.senses import (
    Occurrence,
    Occurrences,
    Reference,
    as_vectors,
    clue_follows,
    layer_paths,
    leave_one_out,
    load_reference,
    load_samples,
    load_too_late,
    occurrences,
    own_center,
    reference,
    similarity_by_layer,
    word_in,
)
from core.model.loading import load_model
from core.model.source import open_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import run_to_end
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from labapp.app import shipped_folder


def made(stream: np.ndarray) -> Occurrences:
    found = tuple(Occurrence(n, 4, 2, " bank") for n in range(len(stream)))
    return Occurrences(
        "bank", tuple(f"{n} bank" for n in range(len(stream))), found, stream.astype(np.float32), ()
    )


def parting(apart: float, n: int = 16, width: int = 40) -> tuple[Occurrences, list[int]]:
    """Layer 0 all equal, layer 1 noise, layer 2 noise with two senses `apart`, all around a large common part."""
    draw = np.random.default_rng(7)
    labels = [0, 1] * (n // 2)
    stream = np.zeros((n, 3, width))
    stream[:, 1:] = draw.standard_normal((n, 2, width))
    stream[:, 2, 0] += apart * (np.array(labels) - 0.5)
    return made(stream + 10), labels


def test_two_senses_worked_out() -> None:
    """Vectors (1, 0), (1, 0), (0, 1), (0, 1): cosine 1 within a sense, 0 across."""
    found = made(np.array([[1, 0], [1, 0], [0, 1], [0, 1]])[:, None])
    alike = similarity_by_layer(found, [0, 0, 1, 1])
    assert alike.within.tolist() == [1]
    assert alike.across.tolist() == [0]
    assert (alike.within_pairs, alike.across_pairs) == (2, 4)
    assert run_to_end(leave_one_out(found, [0, 0, 1, 1], shuffles=20)).result.right.tolist() == [4]


def test_centering_on_the_sentences_themselves_makes_signs_and_says_so() -> None:
    found = made(np.array([[1, 0], [1, 0], [0, 1], [0, 1]])[:, None] + 5)
    raw = similarity_by_layer(found, [0, 0, 1, 1])
    own = similarity_by_layer(found, [0, 0, 1, 1], own_center(found))
    assert raw.across[0] > 0.9
    assert own.across[0] == pytest.approx(-1)
    assert "these 4 sentences themselves" in own.said


def test_senses_that_part_are_told_apart_and_noise_is_not() -> None:
    found, labels = parting(8)
    center = Reference(np.full((3, 40), 10, np.float32), 100, "the mean of others")
    tried = run_to_end(leave_one_out(found, labels, center, shuffles=200)).result
    assert tried.accuracy[2] > 0.9
    assert tried.best_layer == 2
    assert tried.p < 0.05
    assert tried.accuracy[1] <= tried.shuffled_high[1] + 0.15
    assert tried.said == "less the mean of others"
    same, _ = parting(0)
    nothing = run_to_end(leave_one_out(same, labels, center, shuffles=200)).result
    assert nothing.p > 0.05


def test_the_best_of_many_layers_is_compared_with_the_best_of_shuffled_ones() -> None:
    found, labels = parting(0)
    tried = run_to_end(leave_one_out(found, labels, shuffles=100)).result
    assert tried.best_shuffled >= tried.shuffled_high.max()
    assert (tried.low <= tried.accuracy).all()
    assert (tried.accuracy <= tried.high).all()


def test_leaving_one_out_is_what_it_says() -> None:
    """Against a plain loop over sentences and senses."""
    found, labels = parting(2, 10)
    tried = run_to_end(leave_one_out(found, labels, shuffles=1)).result
    for layer in range(3):
        x = found.stream[:, layer].astype(float)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        right = 0
        for at in range(len(x)):
            means = [
                x[[n for n in range(len(x)) if n != at and labels[n] == sense]].mean(axis=0)
                for sense in (0, 1)
            ]
            right += int(np.argmax([m @ x[at] / np.linalg.norm(m) for m in means])) == labels[at]
        if layer:  # at layer 0 all are equal, and rounding decides
            assert tried.right[layer] == right


def test_labels_that_do_not_fit_are_refused() -> None:
    found, _ = parting(1)
    with pytest.raises(LabError, match="3 senses were given for 16"):
        similarity_by_layer(found, [0, 1, 0])
    with pytest.raises(LabError, match="the same sense"):
        leave_one_out(found, [0] * 16)
    with pytest.raises(LabError, match="one sentence only"):
        leave_one_out(found, [1] + [0] * 15)


def test_paths_begin_at_one_point_and_part() -> None:
    found, labels = parting(30)
    paths = layer_paths(found, own_center(found))
    assert paths.points.shape == (3, 16, 2)
    assert np.ptp(paths.points[0], axis=0).max() == 0
    ends = [paths.points[2][np.array(labels) == sense].mean(axis=0) for sense in (0, 1)]
    assert np.linalg.norm(ends[0] - ends[1]) > 1


def test_a_layer_is_vectors_like_any_others() -> None:
    found, _ = parting(3)
    vectors = as_vectors(found, 2)
    assert vectors.names[0] == "bank 1"
    assert vectors.columns["sentence"] == found.sentences
    assert np.array_equal(vectors.values, found.stream[:, 2])
    with pytest.raises(LabError, match="no layer 3"):
        as_vectors(found, 3)


# With a model


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return read_tokenizer(shipped_folder() / "base")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return run_to_end(load_model(open_model(shipped_folder() / "base"))).result  # type: ignore[no-any-return]


def test_the_word_is_read_at_its_last_token_and_layer_0_is_its_embedding(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    *events, last = occurrences(model, tokenizer, ["He went to the bank.", "A bank is here"], "bank")
    found = last.result
    assert [event.token for event in events] == [" bank", " bank"]
    assert [event.place for event in events] == [4, 1]
    assert found.layers == model.config.layers
    assert found.stream.shape == (2, model.config.layers + 1, model.config.width)
    assert not np.array_equal(found.stream[0, 1], found.stream[1, 1])


def test_a_clue_behind_the_word_changes_nothing_before_it(model: Transformer, tokenizer: Tokenizer) -> None:
    """Equal up to the word: cosine 1.0000 at every layer, and a warning for each."""
    late = load_too_late()
    found = run_to_end(occurrences(model, tokenizer, late.sentences, late.word)).result
    assert np.allclose(found.stream[0], found.stream[1], atol=1e-5)
    assert np.allclose(found.stream[2], found.stream[3], atol=1e-5)
    assert not np.allclose(found.stream[0], found.stream[2], atol=1e-2)
    alike = similarity_by_layer(
        run_to_end(occurrences(model, tokenizer, late.sentences[:2], "bank")).result, [0, 1]
    )
    assert np.allclose(alike.across, 1, atol=1e-5)
    assert {n for n, _ in found.warnings} == {0, 1, 2, 3}
    assert any("cosine 1.0000" in said for _, said in found.warnings)


def test_the_reference_is_a_mean_over_all_tokens_but_the_first(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    made = run_to_end(reference(model, tokenizer, ["The king", "A cat sat"])).result
    table = model.embed.weight.detach().numpy()
    ids = [tokenizer.encode("The king"), tokenizer.encode("A cat sat")]
    places = model.positions.weight.detach().numpy()
    expected = [table[i] + places[at] for row in ids for at, i in enumerate(row) if at]
    assert np.allclose(made.mean[0], np.mean(expected, axis=0), atol=1e-5)
    assert made.tokens == len(expected)
    assert "of your own" in made.said


@pytest.mark.parametrize(
    ("sentences", "word", "said"),
    [
        ([], "bank", "0 sentences"),
        (["bank"], " ", "No word"),
        (["The banker left"], "bank", "Sentence 1 does not hold"),
    ],
)
def test_sentences_without_the_word_are_refused(
    model: Transformer, tokenizer: Tokenizer, sentences: list[str], word: str, said: str
) -> None:
    with pytest.raises(LabError, match=said):
        occurrences(model, tokenizer, sentences, word)


def test_in_what_ships_every_clue_stands_before_the_word_and_the_reference_has_none_of_them() -> None:
    samples = load_samples()
    assert sum(len(sample.sentences) for sample in samples) == 40
    for sample in samples:
        assert sorted(sample.labels) == [0] * 10 + [1] * 10
        assert [clue_follows(text, sample.word) for text in sample.sentences] == [""] * 20
        assert all(
            (place := word_in(text, sample.word)) and place[1] == len(text) for text in sample.sentences
        )
        assert not any(word_in(text, sample.word) for text in load_reference())
