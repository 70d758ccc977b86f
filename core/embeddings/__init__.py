"""Words as points: vectors, neighbors, analogies, projections, and the senses of a word."""
