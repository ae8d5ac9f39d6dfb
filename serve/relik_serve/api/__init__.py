"""The native HTTP API: routes, schemas and request limits."""
