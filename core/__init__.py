"""LLM Lab's library: every stage of the pipeline, without a window.

Nothing in here imports Qt, prints, starts a thread or opens a socket (ARCHITECTURE.md has the rules and
the layers; `python run.py check` holds them).
"""
