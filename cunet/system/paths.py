"""Where the user's files lie."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return the folder `name` of cunet's part of the user's cache; it need not exist.

    Raises:
        OSError: the user has no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the XDG rules say that a relative path there is to be ignored
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise OSError("the user has no home folder for a cache; XDG_CACHE_HOME can name one") from error
        if not base.is_absolute():
            raise OSError(f"the user's home folder {base.parent} is no absolute path; XDG_CACHE_HOME can name a cache")
    return base / "cunet" / name
