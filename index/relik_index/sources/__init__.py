"""Sources of knowledge bases: JSON Lines, CSV, linked text."""
