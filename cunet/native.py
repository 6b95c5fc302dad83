"""Compiled kernels on the CPU: switch them on and off, and ask how kernels run here."""

from .kernels.backends.native import native as _native

describe, disable, enable, enabled = _native.describe, _native.disable, _native.enable, _native.enabled

__all__ = ["describe", "disable", "enable", "enabled"]
