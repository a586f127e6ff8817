"""Clients that give no time: they ask again, with the same ids, long before they could have been answered."""

from __future__ import annotations

from faults.scene import Scene
from faults.sending import Load

# Less than a commit under load takes, so that most batches are sent more than once.
IMPATIENT = Load(clients=4, batch=20, period_s=0.2, timeout_s=0.02)


def impatience(scene: Scene) -> None:
    """Every client asks again and again; meanwhile workers are killed, so that answers are lost as well."""
    for _ in range(scene.times(10, 1)):
        scene.pause(1.0, 2.0)
        with scene.fault():
            scene.workers.replace(scene.some_worker())
