"""Child processes on a leash, their folders, and free ports."""

import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.errors import ServerUnavailable

LEASH = Path(__file__).with_name("leash.py")
FOLDER = "eventcore-{kind}-{pid}-"
# Below 32768: above it the kernel hands ports out to clients, and a start fails by chance. From 20000: what pages of the
# documentation listen on lies below.
PORTS = range(20_000, 32_000)
LOG_LINES_SHOWN = 30


@dataclass(frozen=True)
class Account:
    """The operating-system account that a child runs as."""

    uid: int
    gid: int


def ourselves() -> Account:
    """The account of this process."""
    return Account(os.getuid(), os.getgid())


def unprivileged() -> Account:
    """An account that is not root: ourselves, or `nobody` when we are root. Postgres refuses to run as root."""
    if os.getuid() != 0:
        return ourselves()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerUnavailable(
            "Postgres does not run as root, and this machine has no account `nobody` to run it as. "
            "Run the tests as another user, or set EVENTCORE_TEST_POSTGRES to a server's URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def new_folder(kind: str) -> Path:
    """A new temporary folder named for this process; those of processes that are gone are removed first."""
    # As root, children run as `nobody`, who may be shut out of a private TMPDIR.
    parent = Path("/tmp") if os.getuid() == 0 else Path(tempfile.gettempdir())
    for old in parent.glob(FOLDER.format(kind=kind, pid="*") + "*"):
        owner = re.search(r"-(\d+)-", old.name)
        if owner is not None and not _alive(int(owner[1])):
            shutil.rmtree(old, ignore_errors=True)  # another run may be sweeping too
    return Path(tempfile.mkdtemp(prefix=FOLDER.format(kind=kind, pid=os.getpid()), dir=parent))


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now, and which no other call gets while this process lives."""
    chosen = random.SystemRandom()
    for _ in range(200):
        port = chosen.choice(PORTS)
        if _claimed(port) and not listens(port):
            return port
    raise ServerUnavailable(f"no free port of 127.0.0.1 found in {PORTS.start}-{PORTS.stop} in 200 tries")


def _claimed(port: int) -> bool:
    """Whether the port is ours now, in every process that draws from PORTS: between the draw and the listening is time.

    The claim is the UDP port of the same number, which no server of ours uses: the kernel gives it to one, and frees it
    when this process has ended, however it ends.
    """
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    claim.detach()  # it stays open as long as this process lives
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Child:
    """A program that runs until `end`, or until this process ends. Its output goes to `log`."""

    command: Sequence[str]
    log: Path
    account: Account
    on_parent_death: signal.Signals
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it. Call from a thread that lives as long as the child should: the leash is tied to the thread."""
        assert self._process is None, f"{self.command[0]} runs already"
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(self.on_parent_death))]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*leash, str(self.account.uid), str(self.account.gid), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the tests, which then stop their servers in order
            )

    @property
    def runs(self) -> bool:
        """Whether the program is running now."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The program's process id."""
        assert self._process is not None, f"{self.command[0]} does not run"
        return self._process.pid

    def end(self, number: signal.Signals, *, timeout_s: float) -> None:
        """Send the signal and wait; after `timeout_s`, kill it. Does nothing to one that has ended."""
        if self._process is None:
            return
        if self.runs:
            self._process.send_signal(number)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def wait_until_ready(self, ready: Callable[[], bool], *, name: str, timeout_s: float) -> None:
        """Return when `ready()` is true. Raises ServerUnavailable, with the end of the log, when it ends or is late."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.runs or time.monotonic() > deadline:
                why = f"is not ready after {timeout_s} s" if self.runs else "ended by itself while starting"
                lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
                raise ServerUnavailable(f"{name} {why}. The end of {self.log}:\n" + "\n".join(lines))
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
