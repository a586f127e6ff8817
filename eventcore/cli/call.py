"""One call of the program: what was set for it, the app, and the log and views that it opens."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import typer

from eventcore.app import App, Embedded
from eventcore.app.app import PARTITIONS
from eventcore.app.wiring import Wiring
from eventcore.cli.load import load_app
from eventcore.cli.output import Output
from eventcore.cli.progress import reporting
from eventcore.cli.settings import Name, Setting, number_of
from eventcore.cut import Cut
from eventcore.errors import DecodeError, InvalidValue, NotSupported, OwnedElsewhere, UnknownName, WrongUse
from eventcore.lane.restore import Progress
from eventcore.log.address import masked, open_log
from eventcore.log.options import ClientOptions, read_options
from eventcore.log.port import Log
from projections import Views, default_views_for, open_views

EMBEDDED, FLEETING = "sqlite:", "memory:"


@dataclass(frozen=True)
class Call:
    """What a command works with. Nothing is imported or opened before it is asked for."""

    settings: dict[Name, Setting]
    output: Output
    debug: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # may hold passwords

    @cached_property
    def app(self) -> App:
        """The app. Raises CallerError where none is named or it cannot be imported."""
        if "app" not in self.settings:
            raise WrongUse(
                "no app is named: write --app MODULE:NAME before the command, as --app bank.app:app, set EVENTCORE_APP, "
                'or put app = "bank.app:app" under [tool.eventcore] in ./pyproject.toml'
            )
        return load_app(self.settings["app"])

    @property
    def wiring(self) -> Wiring:
        """The app's wiring."""
        return self.app.wiring

    @property
    def log(self) -> Setting:
        """The log's address: by default a file in the current folder, named for the app."""
        return self._lasting("log", self.settings.get("log") or Setting(f"sqlite:{self.app.name}.db", "default"))

    @property
    def views(self) -> Setting:
        """The views' address: by default beside an embedded log."""
        if "views" in self.settings:
            return self._lasting("views", self.settings["views"])
        log = self.log.value if self.embedded else masked(self.log.value)  # it would stand in the error
        return self._lasting("views", Setting(default_views_for(log), "default"))

    def _lasting(self, name: Name, setting: Setting) -> Setting:
        if setting.value == FLEETING:
            raise NotSupported(
                f"{name} in memory ends with this command, so no other would see it. Name a file: --{name} sqlite:PATH"
            )
        return setting

    @property
    def embedded(self) -> bool:
        """Whether the log is a file, whose lanes a command may run itself while no worker does."""
        return self.log.value.startswith(EMBEDDED)

    @cached_property
    def client_options(self) -> ClientOptions:
        """What is set for the Kafka client library. Raises InvalidValue."""
        file = self.settings.get("kafka_config")
        return read_options(self.environment, None if file is None else Path(file.value))

    @property
    def replication(self) -> int | None:
        """How many replicas new topics have, where that is set. Raises InvalidValue."""
        setting = self.settings.get("replication")
        return None if setting is None else number_of("replication", setting)

    def open_log(self) -> Log:
        """The log, made where it can be; the caller closes it."""
        return open_log(self.log.value, self.client_options, replication=self.replication)

    @contextmanager
    def opened_log(self) -> Generator[Log]:
        """The log, which must exist: reading makes no new one. Raises WrongUse."""
        self._check_exists()
        log = self.open_log()
        try:
            yield log
        finally:
            log.close()

    def _check_exists(self) -> None:
        if self.embedded and not Path(self.log.value.removeprefix(EMBEDDED)).exists():
            raise WrongUse(
                f"there is no log at {self.log.value} yet (from {self.log.origin}). `send` and `run` make one; "
                "name another with --log"
            )

    @contextmanager
    def opened_views(self) -> Generator[Views]:
        """The views, which must exist. Raises WrongUse."""
        address = self.views.value
        if address.startswith(EMBEDDED) and not Path(address.removeprefix(EMBEDDED)).exists():
            raise WrongUse(f"there are no views at {address} yet: `run` makes them, and `ask` on an embedded log")
        views = open_views(address)
        try:
            yield views
        finally:
            views.close()

    @contextmanager
    def opened_app(self, *, new: bool) -> Generator[Embedded | None]:
        """The app run in this process, or None where a worker has its log. Without `new` the log must exist.

        Views in a server are checked, not upgraded.
        """
        if not new:
            self._check_exists()
        if not self.views.value.startswith(EMBEDDED):
            with self.opened_views() as views:
                views.check()
        try:
            with self.reporting() as progress:
                app = self.app.open(self.log.value, self.views.value, partitions=self.partitions(), progress=progress)
        except OwnedElsewhere:
            yield None
            return
        with app:
            yield app

    def partitions(self, log: Log | None = None) -> int:
        """How many partitions topics are made with: what is set, else what the app's topics have, else the default."""
        if (setting := self.settings.get("partitions")) is not None:
            return number_of("partitions", setting)
        if log is None:
            if not Path(self.log.value.removeprefix(EMBEDDED)).exists():
                return PARTITIONS
            with self.opened_log() as opened:
                return self.partitions(opened)
        for topics in self.wiring.topics():
            try:
                return log.partitions(topics.events)
            except UnknownName:
                continue  # not made yet, as the topics of an aggregate that is new
        return PARTITIONS

    @contextmanager
    def reporting(self) -> Generator[Progress]:
        """How far long reading has come, shown on stderr where that is a terminal."""
        with reporting() as progress:
            yield progress


def call_of(context: typer.Context) -> Call:
    """The call that the program's options made."""
    call = context.find_object(Call)
    assert call is not None, "the program's callback makes a call before any command runs"
    return call


def cut_of(text: str) -> Cut:
    """The cut that an argument says. Raises InvalidValue."""
    try:
        return Cut.parse(text)
    except DecodeError as wrong:
        raise InvalidValue("cut", str(wrong)) from wrong


def check_reached(log: Log, wiring: Wiring, cut: Cut) -> None:
    """Raise InvalidValue where a cut speaks of other topics than the app's, or of more than the log holds."""
    known = {topic for topics in wiring.topics() for topic in (topics.events, topics.outcomes)}
    for (topic, partition), offset in cut.items():
        if topic not in known:
            raise InvalidValue("cut", f"it speaks of {topic}, which is no topic of events or outcomes of {wiring.name}")
        if partition >= log.partitions(topic):
            raise InvalidValue("cut", f"{topic} has {log.partitions(topic)} partitions, and it speaks of [{partition}]")
        if (end := log.stable_end(topic, partition)) < offset:
            raise InvalidValue("cut", f"{topic}[{partition}] ends at @{end}, before the cut's @{offset}")
