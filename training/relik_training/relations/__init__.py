"""Training of encoders that classify relations between given mentions."""
