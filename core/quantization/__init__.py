"""Fewer bits: block formats, recipes, GGUF files, what is lost, and what fits into memory."""
