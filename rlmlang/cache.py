"""Where things that can be made again are kept: the user's cache folder, or `RLM_CACHE_DIR`."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The folder, which may not exist yet."""
    if given := os.environ.get("RLM_CACHE_DIR"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("rlmlang")
