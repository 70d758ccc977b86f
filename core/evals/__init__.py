"""How good a model is, in numbers: scores of texts."""
