"""The one error of this package."""


class ServerUnavailable(Exception):
    """A server can neither be found nor started here; the message says what was tried and what to install."""
