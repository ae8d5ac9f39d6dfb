"""Propose candidates for windows: dense search joined by name matches."""
