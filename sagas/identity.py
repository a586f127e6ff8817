"""The ids of the commands that sagas send: a function of who asks for what, so that a retry keeps its id.

A new id on a retry would defeat every deduplication between here and the target. The id is a UUID of version 5
(RFC 9562, section 5.5), which any language can compute from the text below with its standard library.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from sagas.ledger import Action

NAMESPACE = UUID("f505561c-461c-4acd-bfbd-9eb4011492c0")  # drawn once; another would be another id for every command


def command_id(saga: str, id: str, step: str, action: Action) -> bytes:  # noqa: A002 - the field's word
    """The 16 bytes of the id of the command that does or undoes `step` of the saga `saga` with the id `id`.

    Names of sagas and steps hold no slash, and the instance's id, which may, comes last: no two requests share a text.
    """
    return uuid5(NAMESPACE, f"{saga}/{step}/{action}/{id}").bytes
