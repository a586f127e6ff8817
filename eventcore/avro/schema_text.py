"""Schema text from outside, parsed so that no text can harm: its size and its depth are known before it is parsed.

Parsers recurse: 100,000 nested arrays of JSON, 500 KB of text, have ended interpreters. So brackets are counted first,
by a loop.
"""

from __future__ import annotations

import json
import re
from typing import cast

from eventcore.avro.canonical import Json
from eventcore.avro.limits import BRACKETS_MAX, SCHEMA_CHARS_MAX
from eventcore.errors import DecodeError

TOKEN = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL
)  # a string, perhaps unended; or a bracket


def bad_schema(where: str, reason: str) -> DecodeError:
    """The error of a schema text that cannot be used; `where` is a path into it, as `/fields/2/type`."""
    return DecodeError("schema text", where.removeprefix("/"), reason)


def parse_schema_text(text: str) -> Json:
    """The JSON of a schema text. Raises DecodeError where it is too large, too deep, or no JSON."""
    if len(text) > SCHEMA_CHARS_MAX:
        raise bad_schema("", f"{len(text)} characters are more than {SCHEMA_CHARS_MAX}")
    depth = 0
    for token in TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > BRACKETS_MAX:
                raise bad_schema("", f"brackets are nested more than {BRACKETS_MAX} deep")
        elif token[0] in "]}":
            depth -= 1
    try:
        return cast("Json", json.loads(text))
    except ValueError as broken:
        raise bad_schema("", f"no JSON: {broken}") from broken
