"""Errors as sentences: what is printed on stderr, and which code the program ends with.

0    done, and the answer is yes
1    done, and the answer is no: a command that was not accepted, a row that is not there, an invariant that is broken
2    the call was wrong: an option, a name, a value, a definition
3    the world or the log was wrong: a server, a file, another process, a record
4    a part of a worker hung, and its process ended itself: start it again
130  interrupted
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Final

from eventcore.errors import CallerError, EventcoreError, Refusal
from eventcore.log.address import masked_in

DONE: Final = 0
ANSWER_IS_NO: Final = 1
CALLER: Final = 2
SYSTEM: Final = 3
HUNG: Final = 4
INTERRUPTED: Final = 130

ADVICE: dict[type[OSError], str] = {
    FileNotFoundError: "Does its folder exist, and is the name spelled right?",
    PermissionError: "May this user use it?",
    FileExistsError: "Choose another name, or move what is there.",
    NotADirectoryError: "A part of its path is a file.",
    IsADirectoryError: "A file is wanted there.",
}


def report(error: BaseException, *, as_json: bool, debug: bool = False) -> int:
    """Print one error on stderr, as a sentence or as a JSON document, and return the code to end with."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    code, kind, said = explain(error)
    sentence = masked_in(said)
    if as_json:
        sys.stderr.write(json.dumps({"error": kind, "message": sentence, "exit_code": code}) + "\n")
    else:
        sys.stderr.write(f"eventcore: {printable(sentence)}\n")
    return code


def explain(error: BaseException) -> tuple[int, str, str]:
    """The code, the name and the sentence of an error."""
    kind = type(error).__name__
    if isinstance(error, EventcoreError):
        code = CALLER if isinstance(error, CallerError | Refusal) else SYSTEM
        return code, kind, ended(str(error))
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted", "interrupted."
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        advice = ADVICE.get(type(error), "")
        return SYSTEM, kind, f"{ended(f'{what}{error.strerror or error}')} {advice}".rstrip()
    said = f"{kind}: {error}" if str(error) else kind
    return SYSTEM, kind, f"something went wrong that nobody foresaw: {ended(said)} With --debug the traceback is shown."


def ended(sentence: str) -> str:
    """A sentence with its full stop."""
    return sentence if sentence.rstrip().endswith((".", "!", "?")) else f"{sentence}."


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey instead of show; line ends stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
