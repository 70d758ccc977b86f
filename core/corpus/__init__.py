"""Texts to learn from: files of other people, and the small world that is generated here."""
