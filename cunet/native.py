"""Compiled kernels on the CPU: switch them on and off, and ask how kernels run here."""

from .kernels.backends.native import describe, disable, enable, enabled

__all__ = ["describe", "disable", "enable", "enabled"]
