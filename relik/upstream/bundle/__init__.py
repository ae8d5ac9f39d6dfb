"""Released and converted pipelines behind the interface of our own."""
