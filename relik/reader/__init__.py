"""Find mentions, link them and relate them in one forward pass."""
