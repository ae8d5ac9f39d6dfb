"""Serve annotations over HTTP."""
