"""A broker that lets in only who brings a password, over TLS: SASL/PLAIN on a SASL_SSL listener.

Its certificates are made here, at the test: an authority, and a server certificate for 127.0.0.1 that it signed. The broker
talks to itself, and tests may set things up, on a second listener without either.
"""

import datetime as dt
import ipaddress
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.broker import KafkaServer, Place
from tests.servers.process import free_port

USER, PASSWORD = "eventcore", "s3cret,with=signs"
VALID = dt.timedelta(days=2)


@dataclass(frozen=True)
class SecureKafka:
    """Such a broker: `bootstrap` wants TLS and a password, `inside` wants nothing; `authority` signed its certificate."""

    server: KafkaServer
    bootstrap: str
    inside: str
    authority: Path
    user: str = USER
    password: str = PASSWORD

    def options(self) -> dict[str, str]:
        """What a client sets, in librdkafka's words."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority),
            "sasl.mechanisms": "PLAIN",
            "sasl.username": self.user,
            "sasl.password": self.password,
        }


@contextmanager
def own_secure_kafka(folder: Path, settings: Mapping[str, str] | None = None) -> Generator[SecureKafka]:
    """Such a broker of one's own, started; its certificates are written into `folder`. Always a local process."""
    authority, store = make_certificates(folder)
    place, client = Place(), free_port()
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    inside = f"PLAINTEXT://127.0.0.1:{place.port}"
    secure = {
        "listeners": f"CLIENT://127.0.0.1:{client},{inside},CONTROLLER://127.0.0.1:{place.controller}",
        "advertised.listeners": f"CLIENT://127.0.0.1:{client},{inside}",
        "listener.security.protocol.map": "CLIENT:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": f'{module} required user_{USER}="{PASSWORD}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
    }
    server = KafkaServer({**secure, **(settings or {})}, place)
    try:
        server.start()
        yield SecureKafka(server, f"127.0.0.1:{client}", server.bootstrap, authority)
    finally:
        server.close()


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Write an authority's certificate, and a server's key and certificate for 127.0.0.1 in one file; their paths."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        _certificate("eventcore's test authority", authority_key.public_key(), "eventcore's test authority")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate("127.0.0.1", server_key.public_key(), "eventcore's test authority")
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path, store = folder / "authority.pem", folder / "server.pem"
    path.write_bytes(authority.public_bytes(pem))
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    store.write_bytes(private + server.public_bytes(pem) + authority.public_bytes(pem))
    return path, store


def _certificate(subject: str, key: ec.EllipticCurvePublicKey, issuer: str) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )
