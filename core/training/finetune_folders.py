"""What a run of fine-tuning has kept: whole models, or adapters. Knows no torch."""

from __future__ import annotations

from pathlib import Path

from core.training.folders import CHECKPOINTS, step_folders

ADAPTER = "adapter_config.json"


def finetuned_checkpoints(run: Path | None) -> list[tuple[int, Path]]:
    """The checkpoints of a run, by step; none where there is no run."""
    found = step_folders(run / CHECKPOINTS) if run is not None else []
    return [(step, place) for step, place in found if any(place.glob("*model.safetensors"))]


def is_adapter(place: Path) -> bool:
    """Whether a folder holds thin matrices alone."""
    return (place / ADAPTER).is_file()
