"""Queues and workers that bring documents to the models in batches."""
