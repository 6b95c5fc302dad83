"""Run ``python -m cunet.doctor``."""

import sys

from .command import main

sys.exit(main())
