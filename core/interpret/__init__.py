"""What can be read off a forward pass: what heads look at, what happens without them, what each part adds."""
