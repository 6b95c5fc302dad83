"""Recording and going back: the tape, Tensor, the decorator op, and gradients of plain functions."""
