"""The catalogue of a topic: what it writes and reads, and how each kind of foreign record is refused."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from msgspec import Meta

from eventcore.avro.catalogue import Catalogue
from eventcore.avro.codec import codec_for
from eventcore.avro.framing import frame, split
from eventcore.avro.limits import BODY_BYTES_MAX
from eventcore.errors import DecodeError, InvalidValue, NotSupported, UnknownFraming, UnknownSchema
from eventcore.value import Value
from tests.bank import UnsayableExit
from tests.strategies import make_class


class Deposited(Value):
    """An event."""

    amount: Annotated[int, Meta(ge=1)]


class Noted(Value):
    """Another."""

    text: str


class Stranger(Value):
    """A class of no catalogue here."""

    a: int


class Impostor(Value):
    """It bears the name of another class."""

    avro_name: ClassVar[str] = "bank.accounts.Noted"
    a: int


EVENTS = Catalogue([Deposited, Noted], "bank.accounts")
RECORD = EVENTS.encode(Deposited(5))


def test_a_record_is_a_marker_a_fingerprint_and_a_body() -> None:
    codec = codec_for(Deposited, "bank.accounts")
    assert RECORD == b"\xc3\x01" + codec.fingerprint + b"\x0a" == frame(codec.fingerprint, b"\x0a")
    assert split(RECORD) == (codec.fingerprint, b"\x0a")
    assert EVENTS.decode(RECORD) == Deposited(5)


def test_the_schemas_are_listed_by_fingerprint() -> None:
    assert dict(EVENTS.schemas) == {codec.fingerprint: codec.text for codec in EVENTS.codecs}
    assert [codec.name for codec in EVENTS.codecs] == ["bank.accounts.Deposited", "bank.accounts.Noted"]


@pytest.mark.parametrize(
    "record", [b"", b"\xc3", b"\xc3\x01" + b"a" * 7, b'{"amount": 5}', b"\x00\x00\x00\x00\x01\x0a"]
)
def test_other_framings_are_unknown(record: bytes) -> None:
    with pytest.raises(UnknownFraming, match="expected c3 01"):
        EVENTS.decode(record)


def test_an_unknown_fingerprint_is_an_error_of_its_own() -> None:
    with pytest.raises(UnknownSchema, match="6161616161616161"):
        EVENTS.decode(b"\xc3\x01" + b"a" * 8 + b"\x0a")


def test_a_record_of_another_topic_is_unknown_here() -> None:
    with pytest.raises(UnknownSchema):
        EVENTS.decode(Catalogue([Deposited], "shop.tills").encode(Deposited(5)))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", r"Deposited\.amount: the body ends"),
        (b"\x0a\x0a", "Deposited: 1 bytes are left over"),
        (b"\x00", r"Deposited\.amount: 0 is less than 1"),
    ],
)
def test_a_bad_body_names_schema_field_and_reason(body: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        EVENTS.decode(RECORD[:10] + body)


def test_a_value_of_another_class_is_refused_with_the_classes_there_are() -> None:
    with pytest.raises(InvalidValue, match="Stranger: not in this topic's catalogue, which holds: Deposited, Noted"):
        EVENTS.encode(Stranger(1))


def test_a_value_that_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(InvalidValue, match=r"Deposited\.amount: 0 is less than 1"):
        EVENTS.encode(Deposited(0))


def test_a_body_above_the_limit_is_neither_written_nor_read() -> None:
    longest = BODY_BYTES_MAX - 4  # its length takes four bytes
    record = EVENTS.encode(Noted("a" * longest))
    assert EVENTS.decode(record) == Noted("a" * longest)
    with pytest.raises(InvalidValue, match="Noted: cannot be written: its 16777227 bytes are more than 16777216"):
        EVENTS.encode(Noted("a" * (longest + 1)))
    with pytest.raises(DecodeError, match="Noted: a body of 16777217 bytes is larger than 16777216"):
        EVENTS.decode(record + b"a")


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(NotSupported, match="Noted and Impostor both bear the Avro name bank.accounts.Noted"):
        Catalogue([Noted, Impostor], "bank.accounts")


def test_one_class_twice_is_refused() -> None:
    with pytest.raises(NotSupported, match="List each class once"):
        Catalogue([Noted, Noted], "bank.accounts")


def test_a_class_with_keyword_only_fields_is_read_by_name() -> None:
    class Named(Value, kw_only=True):
        """Fields by keyword only."""

        b: int
        a: int = 1

    catalogue = Catalogue([Named], "bank.accounts")
    assert catalogue.decode(catalogue.encode(Named(a=2, b=3))) == Named(a=2, b=3)


def test_a_class_that_refuses_its_fields_makes_a_decode_error() -> None:
    class Even(Value):
        """Checks itself."""

        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError(f"{self.n} is odd")

    catalogue = Catalogue([Even], "bank.accounts")
    record = catalogue.encode(Even(2))
    assert catalogue.decode(record) == Even(2)
    with pytest.raises(DecodeError, match="Even refuses its fields: 3 is odd"):
        catalogue.decode(record[:10] + b"\x06")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (AssertionError("no threes"), "no threes"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit("leave"), "leave"),
        (GeneratorExit(), "GeneratorExit"),
        (UnsayableExit(), "UnsayableExit, which cannot be shown"),
    ],
)
def test_whatever_a_class_raises_at_its_fields_makes_a_decode_error(fault: BaseException, said: str) -> None:
    class Even(Value):
        """Checks itself."""

        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise fault

    catalogue = Catalogue([Even], "bank.accounts")
    with pytest.raises(DecodeError, match=f"Even refuses its fields: {said}"):
        catalogue.decode(catalogue.encode(Even(2))[:10] + b"\x06")


def test_who_interrupts_a_constructor_is_heard() -> None:
    class Interrupted(Value):
        """Is interrupted."""

        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise KeyboardInterrupt

    catalogue = Catalogue([Interrupted], "bank.accounts")
    with pytest.raises(KeyboardInterrupt):
        catalogue.decode(catalogue.encode(Interrupted(2))[:10] + b"\x06")


def test_an_empty_class_has_an_empty_body() -> None:
    empty: Any = make_class("Emptied", {})
    catalogue = Catalogue([empty], "bank.accounts")
    assert len(catalogue.encode(empty())) == 10
    assert catalogue.decode(catalogue.encode(empty())) == empty()
