"""Become another program that ends when its parent does: `leash.py PARENT_PID SIGNAL UID GID PROGRAM ARGUMENTS...`.

Run as a script by process.py, isolated and without site packages (about 15 ms). The order matters: Linux forgets the
parent-death signal when the user changes, so the account comes first, then the signal, then the program. A `preexec_fn`
would do the same, but Python 3.12 warns of it in a process with threads, and the clients under test have some.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Drop to the account, ask for the signal, and run the program in this process."""
    parent, number, uid, gid = (int(text) for text in arguments[:4])
    if uid != os.getuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before we asked for the signal
        sys.exit(1)
    os.execv(arguments[4], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
