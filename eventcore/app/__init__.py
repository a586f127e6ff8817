"""The app: aggregates, projections and sagas put together, and run embedded, as a worker, or spoken to as a client."""

from eventcore.app.app import App
from eventcore.app.audit import Verdict
from eventcore.app.client import Client
from eventcore.app.embedded import Embedded
from eventcore.app.invariant import GlobalInvariant, Part
from eventcore.app.outcome import Outcome
from eventcore.app.worker import Worker

__all__ = ["App", "Client", "Embedded", "GlobalInvariant", "Outcome", "Part", "Verdict", "Worker"]
