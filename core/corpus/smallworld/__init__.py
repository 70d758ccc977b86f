"""The small world: a generator of plain English about a closed world, with everything that scores a model on it."""
