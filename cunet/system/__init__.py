"""What cunet asks the machine: cores and BLAS, folders, files, and how a person is told."""
