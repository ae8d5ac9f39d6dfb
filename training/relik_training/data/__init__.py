"""Training data: examples, knowledge bases and candidates."""
