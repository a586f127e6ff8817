"""Models of other kinds, published with the sizes that TLC finds for them: mutual exclusion, an election, termination, a cache.

The sizes are those that the TLA+ examples' repository states and checks (`tlaplus/Examples`, the manifests of
`locks_auxiliary_vars`, `chang_roberts`, `ewd840` and `GermanProtocol`). Where TLC counts a step once for each way in
which its guard is true, its number of transitions is larger than ours, and only states and depth are compared.
"""

from __future__ import annotations

from typing import Any

import pytest

from eventcore.check import Checked, check
from examples.models import cache_coherence, leader_election, peterson, termination_detection
from examples.models.cache_coherence import Memory, Served
from tests.unit.examples.plain_search import every_command, search


def test_petersons_algorithm_has_its_published_size() -> None:
    report = check(peterson.checked)
    assert (report.verdict, report.distinct, report.transitions, report.depth) == ("pass", 42, 77, 11)


def test_the_election_of_chang_and_roberts_has_its_published_size() -> None:
    report = check(leader_election.three)
    assert (report.verdict, report.distinct, report.transitions, report.depth) == ("pass", 137, 227, 10)


def test_termination_detection_has_its_published_size() -> None:
    assert check(termination_detection.three).distinct == 302
    report = check(termination_detection.four)
    assert (report.verdict, report.distinct, report.depth) == ("pass", 1_566, 12)


def test_germans_protocol_has_its_published_size_where_clients_are_not_told_apart() -> None:
    found = search(cache_coherence.memory_of(2), every_command(cache_coherence.memory_of(2), **CACHE))
    orbits = {frozenset((memory, swapped(memory))) for memory in found.levels}
    steps = sum(1 / len({source, swapped(source)}) for source, _, _ in found.steps)
    assert (len(orbits), found.initial + steps, max(found.levels.values())) == (1_107, 3_281, 19)


def swapped(memory: Memory) -> Memory:
    """The memory of two clients, each in the other's place."""
    one, other = memory.clients
    serving = Served(1 - memory.serving.client) if isinstance(memory.serving, Served) else memory.serving
    return Memory((other, one), serving, memory.want, memory.exclusive)


CACHE: dict[str, Any] = {"client": range(2), "want": cache_coherence.Want}

PLAIN: dict[str, tuple[Checked[Any, Any, Any], dict[str, Any]]] = {
    "peterson": (peterson.checked, {"process": range(2)}),
    "election": (leader_election.four, {"node": range(4), "number": range(4)}),
    "cache": (cache_coherence.two, CACHE),
}


@pytest.mark.parametrize("name", PLAIN)
def test_check_finds_what_a_plain_search_finds(name: str) -> None:
    checked, fields = PLAIN[name]
    found = search(
        checked.aggregate, every_command(checked.aggregate, **fields), checked.initial() if checked.initial else None
    )
    report = check(checked)
    assert (report.verdict, (report.distinct, report.transitions, report.depth)) == ("pass", found.counts)
