"""Words, windows and subwords as upstream cuts them."""
