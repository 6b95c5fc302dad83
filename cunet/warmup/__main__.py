"""Run ``python -m cunet.warmup``."""

import sys

from .command import main

sys.exit(main())
