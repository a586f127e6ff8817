"""What a body, a collection and a schema may at most be. The wire is hostile: limits are checked before work is done.

Both directions hold to them, so that nothing is written that cannot be read back.
"""

from __future__ import annotations

BODY_BYTES_MAX = 16 * 1024 * 1024  # sixteen times what a Kafka broker takes by default; larger things are documents
ITEMS_MAX = 1_000_000  # items of one tuple, frozenset or Map: an item may be one byte on the wire and 60 in memory
TYPE_DEPTH_MAX = 64  # types inside types: far above any schema made by people, far below what exhausts a stack
SCHEMA_CHARS_MAX = 1_000_000  # schema text, from a file or from the log
BRACKETS_MAX = 4 * TYPE_DEPTH_MAX  # of JSON text: a nested record takes three brackets, one in a union takes four
