"""The catalogue: every lab, one line each, in the order of the pipeline.

A lab's module is imported when its tab is first shown. A new lab is one new file here and one line below.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from labapp.lab import Lab


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue.

    Attributes:
        name: One noun, in lower case; also its module's, its scenes' and its state's name.
        title: The tab's text.
        section: The stage of the pipeline that it belongs to.
        icon: Name of a Material Design icon.
        lab: "module:class".
        accepts: What of a handoff it can open.
    """

    name: str
    title: str
    section: str
    icon: str
    lab: str
    accepts: frozenset[str]

    def load(self) -> type[Lab]:
        """Import the lab's module and give its class."""
        module, _, name = self.lab.partition(":")
        cls: type[Lab] = getattr(importlib.import_module(module), name)
        return cls


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "tokenizer",
        "Tokenizer",
        "Pretraining",
        "set-split",
        "labapp.labs.tokenizer:TokenizerLab",
        frozenset({"text", "artifact_id", "token_ids"}),
    ),
    Entry(
        "embeddings",
        "Embeddings",
        "Pretraining",
        "scatter-plot",
        "labapp.labs.embeddings:EmbeddingsLab",
        frozenset({"text", "model_id"}),
    ),
    Entry(
        "training",
        "Training",
        "Pretraining",
        "chart-line",
        "labapp.labs.training:TrainingLab",
        frozenset({"text"}),
    ),
    Entry(
        "attention",
        "Attention",
        "Inside the model",
        "grid",
        "labapp.labs.attention:AttentionLab",
        frozenset({"text", "prompt", "model_id", "layer", "head", "position"}),
    ),
    Entry(
        "forward",
        "Forward pass",
        "Inside the model",
        "transit-connection-horizontal",
        "labapp.labs.forward:ForwardLab",
        frozenset({"text", "prompt", "model_id"}),
    ),
    Entry(
        "finetuning",
        "Fine-tuning",
        "Post-training",
        "school",
        "labapp.labs.finetuning:FinetuningLab",
        frozenset({"text", "prompt", "model_id", "artifact_id"}),
    ),
    Entry(
        "preferences",
        "Preferences",
        "Post-training",
        "thumbs-up-down",
        "labapp.labs.preferences:PreferencesLab",
        frozenset({"text", "prompt"}),
    ),
    Entry(
        "quantization",
        "Quantization",
        "Deployment",
        "stairs",
        "labapp.labs.quantization:QuantizationLab",
        frozenset({"text", "prompt", "model_id"}),
    ),
)
