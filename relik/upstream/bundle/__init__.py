"""Released and converted pipelines with the interface of our own pipeline."""
