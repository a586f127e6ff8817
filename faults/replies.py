"""The topic of replies takes nothing: lanes must not care, and clients must come to their answers all the same."""

from __future__ import annotations

from eventcore.log.kafka import client as kafka
from faults.scene import PARTITIONS, Scene

TOPIC = "bank.replies"
ANSWER_S = 10.0


def unwritable(scene: Scene) -> None:
    """More replicas in sync are demanded of the topic than it has, so the broker refuses every reply; later no longer."""
    for _ in range(scene.times(5, 1)):
        with scene.fault():
            _demand(scene, 2)
            decided = _decided(scene)
            scene.pause(4.0, 6.0)
            if _decided(scene) > decided:
                scene.note("times that lanes went on without replies")
            _demand(scene, 1)
        scene.pause(1.0, 2.0)


def _demand(scene: Scene, replicas: int) -> None:
    entry = kafka.ConfigEntry("min.insync.replicas", str(replicas), incremental_operation=kafka.AlterOperation.SET)
    resource = kafka.ConfigResource(kafka.ConfigResource.Type.TOPIC, scene.prefix + TOPIC, incremental_configs=[entry])
    admin = kafka.AdminClient({"bootstrap.servers": scene.servers.bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(ANSWER_S)


def _decided(scene: Scene) -> int:
    return sum(scene.log.stable_end("bank.account.outcomes", partition) for partition in range(PARTITIONS))
