"""Byte-level BPE: learning merges, encoding step by step, reading and writing the formats of the field."""
