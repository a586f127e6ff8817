"""Reads records that no class explains: from the writer's schema text, as the log carries it, to dicts and plain values.

Schemas and bodies are hostile alike. Schema text is measured before it is parsed (`schema_text.py`); types nest at most
64 deep, in the schema and in a body; items of no bytes are refused; values are counted, since a few records of no bytes
that name each other twice could otherwise claim to be 2 ** 64.

Logical types become Python values (`logical.py`). Where a union has several record branches, a record's dict begins
with `$type`, its name: what our own JSON of values does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from eventcore.avro.canonical import NAMED, PRIMITIVES, Json, fingerprint, full_name, space_of
from eventcore.avro.cursor import Cursor
from eventcore.avro.derive import FULL_NAME
from eventcore.avro.limits import TYPE_DEPTH_MAX
from eventcore.avro.logical import Convert, logical_type
from eventcore.avro.schema_text import bad_schema, parse_schema_text

FREE_VALUES_MAX = 10_000  # values of no bytes in one body, beside those that its bytes explain
INT_MIN, INT_MAX = -(2**31), 2**31 - 1


class GenericReader:
    """Reads the bodies that one schema describes; `name` is its full name, or its kind where it has no name.

    Raises DecodeError where the text is no schema that can be read safely, saying where in it.
    """

    def __init__(self, text: str) -> None:
        schema = parse_schema_text(text)
        compiler = _Compiler()
        self._top = compiler.compile(schema, "", "", 1)
        compiler.check_items()
        self.name = _name_of(schema)
        self.fingerprint = fingerprint(schema)

    def read(self, body: bytes) -> object:
        """The value of a body. Raises DecodeError for anything else, whatever the bytes."""
        cursor = _Counted(body, 0, self.name)
        value = self._top.read(cursor, "", 1)
        if cursor.remaining():
            raise cursor.broken("", f"{cursor.remaining()} bytes are left over after the last field")
        return value


def _name_of(schema: Json) -> str:
    if isinstance(schema, dict):
        return full_name(schema, "") if "name" in schema else _name_of(schema["type"])
    return schema if isinstance(schema, str) else "union"


class _Counted(Cursor):
    """A cursor that counts the values read at it."""

    __slots__ = ("allowed",)

    def __init__(self, data: bytes, place: int, schema: str) -> None:
        super().__init__(data, place, schema)
        self.allowed = TYPE_DEPTH_MAX * len(data) + FREE_VALUES_MAX

    def enter(self, path: str, depth: int) -> None:
        """Count one value, which stands `depth` types deep."""
        self.allowed -= 1
        if self.allowed < 0:
            raise self.broken(path, f"{len(self.data)} bytes claim to hold too many values that take no bytes")
        if depth > TYPE_DEPTH_MAX:
            raise self.broken(path, f"values are nested more than {TYPE_DEPTH_MAX} deep")


Read = Callable[[_Counted, str, int], object]  # (cursor, path in the body, depth) -> value


@dataclass(slots=True, eq=False)
class _Node:
    """A compiled type: how it is read, and a lower bound of the bytes it takes; both are set when it is complete."""

    read: Read
    least: int
    record: str = ""  # the name of a record, without its namespace


class _Compiler:
    """Turns a parsed schema into nodes. Definitions precede their uses, as the specification demands."""

    def __init__(self) -> None:
        self._named: dict[str, _Node] = {}
        self._items: list[tuple[str, _Node]] = []

    def check_items(self) -> None:
        """Refuse collections whose items take no bytes; known only when recursive records are complete."""
        for where, item in self._items:
            if item.least == 0:
                raise bad_schema(where, "its items take no bytes: a few bytes could claim any number of them")

    def compile(self, schema: Json, space: str, where: str, depth: int) -> _Node:
        """The node of a schema; `space` is the namespace around it, `where` its place in the text."""
        if depth > TYPE_DEPTH_MAX:
            raise bad_schema(where, f"types are nested more than {TYPE_DEPTH_MAX} deep")
        if isinstance(schema, list):
            return self._union(schema, space, where, depth)
        if isinstance(schema, str):
            return self._reference(schema, space, where)
        if not isinstance(schema, dict) or "type" not in schema:
            raise bad_schema(where, f"{str(schema)[:60]} is no schema")
        kind = schema["type"]
        if not isinstance(kind, str):
            return self.compile(kind, space, f"{where}/type", depth + 1)
        if kind in NAMED:
            return self._definition(schema, kind, space, where, depth)
        if kind == "array":
            return self._array(self.compile(schema.get("items"), space, f"{where}/items", depth + 1), where)
        if kind == "map":
            return self._map(self.compile(schema.get("values"), space, f"{where}/values", depth + 1), where)
        return _converted(self._reference(kind, space, where), logical_type(schema, kind))

    def _reference(self, name: str, space: str, where: str) -> _Node:
        if name in PRIMITIVES:
            return _Node(*LEAVES[name])
        full = name if "." in name or not space else f"{space}.{name}"
        if full not in self._named:
            raise bad_schema(where, f"no type is named {full[:200]!r} before this place")
        return self._named[full]

    def _definition(self, schema: dict[str, Json], kind: str, space: str, where: str, depth: int) -> _Node:
        if not isinstance(schema.get("name"), str) or not FULL_NAME.fullmatch(name := full_name(schema, space)):
            raise bad_schema(where, f"{str(schema.get('name'))[:200]!r} is no name of a type")
        if name in self._named:
            raise bad_schema(where, f"{name} is defined twice")
        if kind == "enum":
            node = _enum(schema.get("symbols"), where)
        elif kind == "fixed":
            node = _converted(_fixed(schema.get("size"), where), logical_type(schema, kind))
        else:
            node = self._named[name] = _Node(_unread, 0, name.rpartition(".")[2])
            fields = self._fields(schema.get("fields"), space_of(name), where, depth)
            node.read = _record_reader(fields)
            node.least = sum(field.least for _, field in fields)
        self._named[name] = node
        return node

    def _fields(self, fields: Json, space: str, where: str, depth: int) -> list[tuple[str, _Node]]:
        if not isinstance(fields, list):
            raise bad_schema(where, "a record without a list of fields")
        nodes: dict[str, _Node] = {}
        for number, field in enumerate(fields):
            place = f"{where}/fields/{number}"
            if not isinstance(field, dict) or not isinstance(name := field.get("name"), str) or name in nodes:
                raise bad_schema(place, "a field without a name of its own")
            nodes[name] = self.compile(field.get("type"), space, f"{place}/type", depth + 1)
        return list(nodes.items())

    def _union(self, branches: list[Json], space: str, where: str, depth: int) -> _Node:
        if not branches or any(isinstance(branch, list) for branch in branches):
            raise bad_schema(where, "a union has branches, and none of them is a union")
        nodes = [self.compile(branch, space, f"{where}/{i}", depth + 1) for i, branch in enumerate(branches)]
        marked = sum(1 for node in nodes if node.record) > 1

        def read(cursor: _Counted, path: str, depth: int) -> object:
            cursor.enter(path, depth)
            node = nodes[cursor.index(len(nodes), "branches", path)]
            value = node.read(cursor, path, depth + 1)
            return _marked(node.record, value) if marked and node.record else value

        return _Node(read, 1)

    def _array(self, item: _Node, where: str) -> _Node:
        self._items.append((where, item))

        def read(cursor: _Counted, path: str, depth: int) -> object:
            cursor.enter(path, depth)
            return [item.read(cursor, f"{path}[{i}]", depth + 1) for i in cursor.items(item.least, path)]

        return _Node(read, 1)

    def _map(self, item: _Node, where: str) -> _Node:
        self._items.append((where, item))

        def read(cursor: _Counted, path: str, depth: int) -> object:
            cursor.enter(path, depth)
            found: dict[str, object] = {}
            for _ in cursor.items(1 + item.least, path):
                key = cursor.text(path)
                found[key] = item.read(cursor, f"{path}[{key!r}]", depth + 1)
            return found

        return _Node(read, 1)


def _marked(record: str, value: object) -> dict[str, object]:
    return {"$type": record, **cast("dict[str, object]", value)}


def _unread(cursor: _Counted, path: str, depth: int) -> object:
    raise AssertionError(f"{cursor.schema}{path}: a record was read before it was complete, {depth} deep")


def _record_reader(fields: list[tuple[str, _Node]]) -> Read:
    def read(cursor: _Counted, path: str, depth: int) -> object:
        cursor.enter(path, depth)
        stem = f"{path}." if path else ""
        return {name: node.read(cursor, f"{stem}{name}", depth + 1) for name, node in fields}

    return read


def _enum(symbols: Json, where: str) -> _Node:
    if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
        raise bad_schema(where, "an enum without a list of symbols")
    return _Node(lambda cursor, path, _: symbols[cursor.index(len(symbols), "symbols", path)], 1)


def _fixed(size: Json, where: str) -> _Node:
    if type(size) is not int or size < 0:
        raise bad_schema(where, "a fixed without a size")

    def read(cursor: _Counted, path: str, depth: int) -> object:
        cursor.enter(path, depth)  # it may have no bytes
        return cursor.take(size, path)

    return _Node(read, size)


def _converted(node: _Node, convert: Convert | None) -> _Node:
    if convert is None:
        return node

    def read(cursor: _Counted, path: str, depth: int) -> object:
        value = node.read(cursor, path, depth)
        try:
            return convert(value)
        except (ValueError, OverflowError) as beyond:
            raise cursor.broken(path, f"{str(value)[:60]} does not fit its logical type: {beyond}") from beyond

    return _Node(read, node.least)


def _null(cursor: _Counted, path: str, depth: int) -> object:
    cursor.enter(path, depth)
    return None


def _int(cursor: _Counted, path: str, _: int) -> object:
    if not INT_MIN <= (n := cursor.long(path)) <= INT_MAX:
        raise cursor.broken(path, f"{n} has more than the 32 bits of an int")
    return n


LEAVES: dict[str, tuple[Read, int]] = {
    "null": (_null, 0),
    "boolean": (lambda cursor, path, _: cursor.boolean(path), 1),
    "int": (_int, 1),
    "long": (lambda cursor, path, _: cursor.long(path), 1),
    "float": (lambda cursor, path, _: cursor.single(path), 4),
    "double": (lambda cursor, path, _: cursor.double(path), 8),
    "bytes": (lambda cursor, path, _: cursor.take(cursor.long(path), path), 1),
    "string": (lambda cursor, path, _: cursor.text(path), 1),
}
