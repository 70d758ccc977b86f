"""Prompts, candidate outputs, rankings that are never lost; agreement, strengths and export."""
