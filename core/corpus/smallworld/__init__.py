"""The small world: a generator of plain English about a closed world, and what scores a model on it."""
