"""What `mutate_kernels` is made of."""
