"""Recorded steps: what a step asks of compiled code, or of a GPU, replayed by one call."""

from .compiled import CompiledStep, compile
from .report import Report

__all__ = ["CompiledStep", "Report", "compile"]
