"""Workers that die, stall, come and go."""

from __future__ import annotations

from faults.scene import Scene


def kills(scene: Scene) -> None:
    """`kill -9` of a random worker: by turns at a random moment, inside a transaction, and while its successor restores."""
    for number in range(scene.times(100, 3)):
        match number % 3:
            case 0:
                scene.pause(0.0, 1.0)
            case 1:
                scene.wait_for_a_transaction()
            case _:
                scene.workers.start()
                scene.pause(0.5, 1.5)
                scene.workers.kill(scene.workers.all[-1])
        with scene.fault():
            scene.workers.replace(scene.some_worker())
            if scene.in_transaction():
                scene.note("left a transaction open")


def stalls(scene: Scene) -> None:
    """SIGSTOP for longer than the group waits, until others have taken over; then SIGCONT."""
    for _ in range(scene.times(10, 1)):
        scene.wait_for_a_transaction()
        stalled = scene.some_worker()
        with scene.fault():
            stalled.pause()
            if scene.in_transaction():
                scene.note("stood inside a transaction")
        stalled.go_on()
        scene.pause(2.0, 3.0)


def rebalances(scene: Scene) -> None:
    """Workers join and leave without a pause."""
    for _ in range(scene.times(20, 1)):
        with scene.fault():
            joined = scene.workers.start()
            scene.pause(0.5, 2.5)
            scene.workers.end(scene.workers.all[0])
        scene.workers.wait_until_ready(*joined)
