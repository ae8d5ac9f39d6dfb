"""What every training run shares: trainer, logs, clock, checkpoints."""
