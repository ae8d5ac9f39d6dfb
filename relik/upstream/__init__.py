"""Released ReLiK pipelines: their models, indexes and settings, and the drop-in `Relik` class."""
