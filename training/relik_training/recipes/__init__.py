"""Recipes: the settings of training runs, read from TOML."""
