"""Run ``python -m cunet.parity``."""

import sys

from . import main

sys.exit(main())
