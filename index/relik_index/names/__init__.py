"""Aliases and types that a source does not give, made when an index is built."""
