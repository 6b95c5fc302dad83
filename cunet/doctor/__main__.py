"""Run ``python -m cunet.doctor``."""

from . import report

print(report())
