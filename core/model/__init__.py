"""One transformer for three families, its files, its trace, and the text it writes."""
