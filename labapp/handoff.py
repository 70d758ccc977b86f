"""What one lab hands to another: "Open in…" carries a text, a prompt, an artifact or a place in a model."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Handoff:
    """A thing to be opened in another lab; whatever does not apply is left out.

    Attributes:
        text: A text to work on.
        prompt: A prompt for a model.
        token_ids: Ids of tokens.
        artifact_id: An artifact of the workspace.
        model_id: A model of the workspace, to look into.
        layer, head, position: A place in a model, counted from 0.
    """

    text: str | None = None
    prompt: str | None = None
    token_ids: tuple[int, ...] | None = None
    artifact_id: str | None = None
    model_id: str | None = None
    layer: int | None = None
    head: int | None = None
    position: int | None = None

    @property
    def carries(self) -> frozenset[str]:
        """Names of what is in it.

        >>> sorted(Handoff(text="hi", layer=3).carries)
        ['layer', 'text']
        """
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) is not None)
