"""Training: from random weights and a text to a model, one frozen event at a time."""
