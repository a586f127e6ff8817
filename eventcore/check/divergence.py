"""Going on for ever without getting anywhere: a cycle of steps none of which the old version would notice.

A refinement allows any number of stutters between two steps; on a cycle of nothing else the new version may be busy
for ever while the old one stands still. It is told, not judged: a message that is sent again and lost again does it.
Source of the search for components: Tarjan, *Depth-first search and linear graph algorithms* (1972), with a stack of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Edges = Mapping[int, Sequence[int]]


def cycle_in(edges: Edges) -> list[int] | None:
    """A shortest cycle through the least node that lies on one, that node at both ends; None where there is none.

    Steps from a node to itself make no cycle here.
    """
    least: list[int] | None = None
    for component in _components(edges):
        if len(component) > 1 and (least is None or min(component) < min(least)):
            least = component
    return None if least is None else _way_back(edges, min(least), frozenset(least))


def _way_back(edges: Edges, start: int, among: frozenset[int]) -> list[int]:
    came: dict[int, int] = {}
    level = [start]
    while level:
        following: list[int] = []
        for node in level:
            for to in edges.get(node, ()):
                if to == start and node != start:
                    return [start, *_way(came, start, node), start]
                if to in among and to not in came and to != start:
                    came[to] = node
                    following.append(to)
        level = following
    raise AssertionError(f"{start} is in a component of {len(among)} nodes, and no way leads back to it")


def _way(came: Mapping[int, int], start: int, node: int) -> list[int]:
    way: list[int] = []
    while node != start:
        way.append(node)
        node = came[node]
    return way[::-1]


def _components(edges: Edges) -> Iterator[list[int]]:
    """The strongly connected components."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    is_open: set[int] = set()
    for root in edges:
        if root in order:
            continue
        path: list[tuple[int, Iterator[int]]] = []

        def enter(node: int, path: list[tuple[int, Iterator[int]]] = path) -> None:
            order[node] = low[node] = len(order)
            open_.append(node)
            is_open.add(node)
            path.append((node, iter(edges.get(node, ()))))

        enter(root)
        while path:
            node, rest = path[-1]
            for to in rest:
                if to not in order:
                    enter(to)
                    break
                if to in is_open:
                    low[node] = min(low[node], order[to])
            else:
                path.pop()
                if path:
                    before = path[-1][0]
                    low[before] = min(low[before], low[node])
                if low[node] == order[node]:
                    component: list[int] = []
                    while True:
                        component.append(open_.pop())
                        is_open.discard(component[-1])
                        if component[-1] == node:
                            break
                    yield component
