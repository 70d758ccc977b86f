"""The numbers of a block are those of the pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.interpret.values import TOKENS_AT_MOST, Values, read_values
from core.model.anatomy import pass_parts
from core.model.initial import new_model
from core.model.trace import Trace
from core.problems import LabError
from core.stages import run_to_end
from tests.core.model.test_anatomy import CONFIGS

IDS = [3, 1, 4, 1, 5, 9]


@pytest.mark.parametrize("family", CONFIGS)
def test_values_are_those_of_a_traced_pass(family: str) -> None:
    config = CONFIGS[family]
    model = new_model(config, torch.Generator().manual_seed(2))
    trace = Trace(["*"])
    with torch.inference_mode():
        logits = model(torch.tensor([IDS]), explicit=True, trace=trace)[0, -1]
    values: Values = run_to_end(read_values(model, IDS, 1)).result
    for part in pass_parts(config, len(IDS)):
        if part.name.startswith("blocks.0."):
            assert part.name not in values
            continue
        slab = values.slab(part.name, 4)
        spread = values.spreads[part.name]
        assert slab.ndim == 2, part.name
        if part.name in ("logits", "probabilities"):
            continue
        whole = trace[part.name][0]
        # block 0 went by the fused path here
        expected = whole[:, 4] if whole.ndim == 3 and not part.name.endswith(".z") else whole
        expected = whole[4] if part.name.endswith(".attn.z") else expected
        assert np.allclose(slab, expected.numpy(), atol=1e-5), part.name
        assert spread.infinite == int((~whole.isfinite()).sum()), part.name
        assert spread.high == pytest.approx(float(whole[whole.isfinite()].max()), abs=1e-5), part.name
    assert np.allclose(values.slab("probabilities", 0)[0], logits.softmax(-1).numpy(), atol=1e-6)


def test_pairs_keep_their_length_when_they_are_turned() -> None:
    model = new_model(CONFIGS["llama"], torch.Generator().manual_seed(2))
    values: Values = run_to_end(read_values(model, IDS, 0)).result
    before, after = (values.pairs(f"blocks.0.attn.{name}", 5, 2) for name in ("q", "rot_q"))
    assert before.shape == (3, 2)
    assert np.allclose(np.hypot(*before.T), np.hypot(*after.T), atol=1e-6)
    assert not np.allclose(before, after)


def test_a_long_text_is_read_in_part() -> None:
    from dataclasses import replace

    config = replace(CONFIGS["llama"], context=2 * TOKENS_AT_MOST)
    model = new_model(config, torch.Generator().manual_seed(2))
    values: Values = run_to_end(read_values(model, [1] * (TOKENS_AT_MOST + 9), 0)).result
    assert values.tokens == TOKENS_AT_MOST


def test_what_is_not_there_is_refused() -> None:
    model = new_model(CONFIGS["gpt2"], torch.Generator().manual_seed(2))
    with pytest.raises(LabError, match="no block 2"):
        read_values(model, IDS, 2)
    with pytest.raises(LabError, match="no token"):
        read_values(model, [], 0)
