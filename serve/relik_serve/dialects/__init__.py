"""Paths that speak the dialects of other systems, on the same batcher and model."""
