"""What NVIDIA's compiler makes of the kernels: machine code without a GPU, counted and modelled."""
