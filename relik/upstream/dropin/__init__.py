"""The drop-in class `Relik` with the interface of upstream."""
