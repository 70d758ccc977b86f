"""Moved to `labapp.widgets.weights`."""

from labapp.widgets.weights import ink, ramp, weights_image

__all__ = ["ink", "ramp", "weights_image"]
