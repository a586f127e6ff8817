"""Somebody else who believes that a partition is his: a lane without a group, run beside the workers' own."""

from __future__ import annotations

import threading
import time

from eventcore.app.children import lane_of
from eventcore.errors import EventcoreError, Fenced
from examples.bank.account import accounts
from examples.bank.app import app
from faults.scene import PARTITIONS, Scene

FIGHT_S = 3.0  # how long a rival takes the partition again and again
PAUSE_S = 0.2  # before he does: the lane of the worker must come to something in between


def rivals(scene: Scene) -> None:
    """A rival owns a partition that a worker has, decides its commands, and takes it back for a while when he is fenced."""
    machine = app.wiring.machine_of(accounts)
    for _ in range(scene.times(12, 1)):
        partition = scene.random.randrange(PARTITIONS)
        rival = lane_of(machine, scene.log, partition)
        pause = threading.Event()
        with scene.fault():
            until = time.monotonic() + FIGHT_S
            while time.monotonic() < until:
                try:
                    rival.start()
                    while time.monotonic() < until:
                        if rival.step(PAUSE_S):
                            scene.note("batches that the rival decided")
                except Fenced:
                    scene.note("times that the rival was fenced")
                    pause.wait(PAUSE_S)
                except EventcoreError as failed:
                    scene.note(f"times that the rival met {type(failed).__name__}")
                    pause.wait(PAUSE_S)
            rival.close()
