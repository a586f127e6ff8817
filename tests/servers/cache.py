"""A cache outside the tree for what is fetched or made once a machine."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

FETCH_WAIT_S = 900  # another run may be fetching the same over a slow line


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; when missing, `make` fills it, once, whole or not at all."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eventcore"
    base.mkdir(parents=True, exist_ok=True)
    folder = base / name
    if not folder.exists():
        with FileLock(base / f"{name}.lock", timeout=FETCH_WAIT_S):
            if not folder.exists():
                made = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=base))
                try:
                    make(made)
                    made.rename(folder)
                finally:
                    shutil.rmtree(made, ignore_errors=True)  # gone already when it was renamed
    return folder
