"""Distillation: small models that learn from a larger one beside the labels."""
