"""Augmentation: training windows that are edited or made from a knowledge base."""
