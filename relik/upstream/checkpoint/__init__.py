"""Files, settings and weights of released ReLiK checkpoints."""
