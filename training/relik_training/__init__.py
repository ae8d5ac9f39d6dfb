"""Train retrievers and readers, and export bundles."""
