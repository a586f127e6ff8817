"""The options of the client library (2.16) that a user may want: for which kind of client each is, and near misses.

Which options exist is the library's to say; this list only suggests, and keeps options from clients that have no use for
them (the library warns of each at every start). An option that is not here goes to every client.
"""

from __future__ import annotations

import difflib
from typing import Final, Literal

Kind = Literal["admin", "producer", "consumer", "member"]

_EVERY = """
    api.version.request.timeout.ms broker.address.family broker.address.ttl client.dns.lookup client.id client.rack
    connections.max.idle.ms debug enable.metrics.push enable.random.seed enable.sasl.oauthbearer.unsecure.jwt
    enable.ssl.certificate.verification https.ca.location https.ca.pem internal.termination.signal
    message.copy.max.bytes metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy
    plugin.library.paths receive.message.max.bytes reconnect.backoff.max.ms reconnect.backoff.ms
    retry.backoff.max.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin
    sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism sasl.mechanisms
    sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud
    sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss
    sasl.oauthbearer.assertion.claim.jti.include sasl.oauthbearer.assertion.claim.nbf.seconds
    sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.file
    sasl.oauthbearer.assertion.jwt.template.file sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem
    sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
    sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method
    sasl.oauthbearer.scope sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url sasl.password
    sasl.username security.protocol socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails
    socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms
    ssl.ca.certificate.stores ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem
    ssl.cipher.suites ssl.crl.location ssl.curves.list ssl.endpoint.identification.algorithm ssl.engine.id
    ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location ssl.keystore.password ssl.providers
    ssl.sigalgs.list statistics.interval.ms topic.metadata.propagation.max.ms
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse
"""
EVERY: Final = frozenset(_EVERY.split())
_PRODUCER = """
    batch.num.messages batch.size compression.codec compression.level compression.type linger.ms
    queue.buffering.backpressure.threshold queue.buffering.max.kbytes queue.buffering.max.messages
    queue.buffering.max.ms request.timeout.ms sticky.partitioning.linger.ms
"""
PRODUCER: Final = frozenset(_PRODUCER.split())
_CONSUMER = """
    check.crcs coordinator.query.interval.ms fetch.error.backoff.ms fetch.max.bytes fetch.message.max.bytes
    fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms max.partition.fetch.bytes queued.max.messages.kbytes
    queued.min.messages
"""
CONSUMER: Final = frozenset(_CONSUMER.split())
_MEMBER = """
    group.protocol group.remote.assignor heartbeat.interval.ms max.poll.interval.ms session.timeout.ms
"""
MEMBER: Final = frozenset(_MEMBER.split())
OTHERS: Final[dict[Kind, frozenset[str]]] = {
    "admin": PRODUCER | CONSUMER | MEMBER,
    "producer": CONSUMER | MEMBER,
    "consumer": PRODUCER | MEMBER,
    "member": PRODUCER,
}


def concerns(name: str, kind: Kind) -> bool:
    """Whether a client of this kind is to be given the option."""
    return name not in OTHERS[kind]


def nearest(name: str) -> list[str]:
    """The names that were probably meant, the likeliest first; none where nothing is like it."""
    return difflib.get_close_matches(name, sorted(EVERY | PRODUCER | CONSUMER | MEMBER), n=3, cutoff=0.6)
