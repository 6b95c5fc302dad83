"""Run ``python -m cunet``, which is the command ``cunet``."""

import sys

from .cli import main

sys.exit(main())
