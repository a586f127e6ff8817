"""Say why Docker cannot serve an image here, or nothing where it can: `python -P ask_docker.py IMAGE SECONDS`.

A process of its own, so that one that a daemon keeps waiting can be ended, and nothing that the library leaves open is ours.
"""

import importlib
import sys
from typing import Any


def problem(image: str, timeout_s: int) -> str:
    """Ask the daemon for itself, and for the image; "" where both are there, or the image can be pulled."""
    try:
        docker: Any = importlib.import_module("docker")
        importlib.import_module("testcontainers")
    except ImportError as missing:
        return f"the Python package {missing.name} is not installed"
    try:
        client = docker.from_env(timeout=timeout_s)
        client.ping()
    except Exception as away:  # noqa: BLE001 (the library raises what its transport does)
        return f"no Docker daemon answers ({type(away).__name__})"
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        try:
            client.images.get_registry_data(image)
        except Exception as refused:  # noqa: BLE001 (the same)
            return f"Docker has no image {image} and cannot pull it ({type(refused).__name__})"
    return ""


if __name__ == "__main__":
    sys.stdout.write(problem(sys.argv[1], int(sys.argv[2])))
