"""A model in one file, architecture and weights, and what answers with it."""
