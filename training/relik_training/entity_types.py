"""Coarse types of entities: see `relik_index.entity_types`."""

from relik_index.entity_types import coarse_types, is_date, partial_names

__all__ = ["coarse_types", "is_date", "partial_names"]
