"""Data only: samples, scenes, price tables; found through importlib.resources, as a bundle has no sources."""
