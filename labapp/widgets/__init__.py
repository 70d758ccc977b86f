"""Parts that two or more labs use."""
