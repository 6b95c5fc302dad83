"""The parts of tools/bench.py: jobs, the libraries that run them, how they are measured, and the report."""
