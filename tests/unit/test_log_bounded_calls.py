"""Calls that may hang are left behind after their bound."""

from __future__ import annotations

import threading
import time

import pytest

from eventcore.errors import Fenced, LogUnavailable
from eventcore.log.kafka.bounded import BoundedCalls, CallHangs
from eventcore.log.kafka.cluster import Cluster
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.kafka.write import KafkaWriter
from eventcore.log.options import ClientOptions
from eventcore.topics import Topics


def test_a_call_returns_what_it_returns_and_raises_what_it_raises() -> None:
    calls = BoundedCalls("test")
    assert calls.run(lambda: 1, 5.0) == 1
    with pytest.raises(Fenced, match="by another"):
        calls.run(_fenced, 5.0)
    assert calls.run(lambda: 2, 5.0) == 2
    calls.end()


def _fenced() -> None:
    raise Fenced("by another")


def test_a_call_that_hangs_is_left_behind() -> None:
    calls, forever = BoundedCalls("test"), threading.Event()
    began = time.monotonic()
    with pytest.raises(CallHangs, match="did not return within"):
        calls.run(forever.wait, 0.05)
    assert time.monotonic() - began < 5.0
    forever.set()


def test_a_writer_whose_client_cannot_be_made_says_so_and_leaves_no_thread() -> None:
    """As where a file that its options name was taken away. No cluster is asked for that."""
    here = KafkaSettings("127.0.0.1:1")
    options = ClientOptions({"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"})
    cluster = Cluster(here)
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(
            LogUnavailable, match=r"owning bank.account\[0\]: making a client for 127.0.0.1:1: .*ssl.ca.location"
        ):
            KafkaWriter(KafkaSettings("127.0.0.1:1", options=options), cluster, Topics.of("bank", "account"), 0)
    assert threading.active_count() == before


def test_the_thread_ends_with_its_owner() -> None:
    calls = BoundedCalls("eventcore test of an end")
    calls.end()
    for thread in threading.enumerate():
        if thread.name == "eventcore test of an end":
            thread.join(5.0)
            assert not thread.is_alive()
