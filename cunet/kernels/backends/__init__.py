"""What runs kernels: NumPy, compiled C++, and CUDA through CuPy."""
