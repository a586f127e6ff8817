"""The way to the transaction coordinator: cut, late, or holding back what was sent, at the moment of a commit."""

from __future__ import annotations

from faults.proxy import Trick
from faults.scene import Scene

PLAYED_S = 10.0  # lanes under load commit many times a second
# Longer than the client waits for an answer (CLIENT below), so that it asks again while the first request is on its way.
HELD_S = 2.5
CLIENT = {"socket.timeout.ms": "1000"}

TRICKS: tuple[tuple[Trick, float], ...] = (
    ("cut before the answer", 0.0),
    ("hold the request", HELD_S),
    ("cut before the request", 0.0),
    ("delay the answer", 0.5),
    ("delay the answer", HELD_S),
)


def commits(scene: Scene) -> None:
    """Each trick in turn on the request that ends a transaction; in between every connection is cut at once."""
    assert scene.servers.proxy is not None
    for number in range(scene.times(30, 5)):
        trick, seconds = TRICKS[number % len(TRICKS)]
        with scene.fault():
            if not scene.servers.proxy.play(trick, seconds).done.wait(PLAYED_S):
                raise TimeoutError(f"no transaction ended within {PLAYED_S:.0f} s")
            scene.note(trick)
    with scene.fault():
        scene.servers.proxy.cut_all()
        scene.note("cut all connections")
