"""Indexes and query encoders of released pipelines."""
