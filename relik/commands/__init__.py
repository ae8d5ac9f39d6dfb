"""Subcommands of `relik` that need only the library."""
