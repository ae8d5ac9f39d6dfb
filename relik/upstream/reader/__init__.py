"""Released readers: rows, models, labels and predictions."""
