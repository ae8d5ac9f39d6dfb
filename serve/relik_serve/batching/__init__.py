"""Dynamic batching: queues and worker threads between requests and models."""
