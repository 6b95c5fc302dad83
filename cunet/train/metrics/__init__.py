"""Metrics: means over samples, and what is found from all batches of an epoch."""
