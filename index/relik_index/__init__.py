"""Build, inspect and verify knowledge indexes."""
