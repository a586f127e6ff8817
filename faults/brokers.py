"""Servers that die and come back: the only broker, brokers of three, the database."""

from __future__ import annotations

from faults.scene import Scene


def restarts(scene: Scene) -> None:
    """`kill -9` of the only broker under load; a moment later it is started again, with what is on its disk."""
    (broker,) = scene.servers.brokers
    for _ in range(scene.times(5, 1)):
        scene.wait_for_a_transaction()
        with scene.fault():
            broker.kill()
            scene.pause(0.2, 2.0)
            broker.start()
        scene.pause(1.0, 3.0)
    for _ in range(scene.workers.times_said("without its end")):
        scene.note("left hanging, and ended by the lane's owner")


def one_of_three(scene: Scene) -> None:
    """`kill -9` of one of three brokers, whichever leads; it is started again, and when it is in sync, another one."""
    for number in range(scene.times(6, 2)):
        broker = scene.servers.brokers[number % 3]
        scene.wait_for_a_transaction()
        with scene.fault():
            broker.kill()
        broker.start()
        assert scene.servers.in_sync is not None
        scene.servers.in_sync()


def database(scene: Scene) -> None:
    """Postgres is stopped and started, and killed and started, while projections write to it."""
    for number in range(scene.times(6, 2)):
        with scene.fault():
            if number % 2:
                scene.servers.postgres.kill()
            else:
                scene.servers.postgres.stop()
            scene.pause(0.5, 2.0)
            scene.servers.postgres.start()
        scene.pause(1.0, 2.0)
