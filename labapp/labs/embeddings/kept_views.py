"""Views of a cloud that were kept: what was shown, and from where it was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labapp.labs.embeddings.cloud_tools import camera_from, camera_to_json
from labapp.labs.embeddings.recipe import recipe_from
from labapp.words import tr

if TYPE_CHECKING:
    from labapp.labs.embeddings.cloud import CloudPage


class KeptViews:
    """The bookmarks of a page.

    Args:
        page: Whose views.
    """

    def __init__(self, page: CloudPage) -> None:
        self._page = page
        self._kept: list[dict[str, Any]] = []
        self._then: dict[str, Any] | None = None  # the view that is to be shown with the next picture

    @property
    def names(self) -> list[str]:
        """Of all, in their order."""
        return [str(one["name"]) for one in self._kept]

    @property
    def waiting(self) -> bool:
        """Whether a view waits for its picture."""
        return self._then is not None

    def keep(self) -> None:
        """Remember the picture and from where it is seen."""
        page = self._page
        kind = page.choice.kind.itemText(page.choice.kind.findData(page.recipe.kind))
        if page.recipe.text:
            kind = tr("{kind} of a text, layer {n}", kind=kind, n=page.recipe.layer)
        name = tr("{n}. {title}", n=len(self._kept) + 1, title=kind)
        camera = camera_to_json(page.view.camera)
        self._kept.append({"name": name, "recipe": page.recipe.to_json(), "camera": camera})
        page.lab.frame.messages.show_note(tr("This view is kept as “{name}”.", name=name))

    def show(self, n: int) -> None:
        """Go back to a view; its picture is computed again where it is another one."""
        page, self._then = self._page, self._kept[n]
        recipe = recipe_from(self._then.get("recipe"))
        if recipe == page.recipe and page.projection is not None:
            self.picture_is_there()
            return
        page.choice.show_recipe(recipe)
        if not page.choice.why_flat:
            page.tools.set_three(len(recipe.axes) == 3)
        page.compute()

    def picture_is_there(self) -> None:
        """Look at it from where the view that waits was seen."""
        view, self._then = self._then, None
        camera = camera_from(view.get("camera")) if view is not None else None
        if camera is not None and camera.flat == self._page.view.camera.flat:
            self._page.view.set_camera(camera)

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return self._kept

    def restore(self, kept: object) -> None:
        """Take back what `to_json` gave; what is no view is left out."""
        if isinstance(kept, list):
            self._kept = [one for one in kept if isinstance(one, dict) and isinstance(one.get("name"), str)]
