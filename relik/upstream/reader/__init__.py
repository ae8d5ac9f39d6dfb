"""Released readers: input rows, models, decoding and predictions."""
