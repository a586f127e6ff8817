"""Reading annotations: what the fields of a value class may be, taken from its type hints, once.

Everything that cannot be stored, compared or written is refused here, with the field's name and what to write instead.
"""

from __future__ import annotations

import enum
import functools
import math
import types
import typing
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from eventcore.errors import NotSupported
from eventcore.shape import (
    DIGITS_MAX,
    LONG_MAX,
    LONG_MIN,
    NAME,
    Anything,
    Bool,
    Bounds,
    Bytes,
    Choice,
    Day,
    Duration,
    Field,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from eventcore.value import Digits, Map, Value


@functools.cache
def shape_of(cls: type[Value]) -> tuple[Field, ...]:
    """The fields of a value class, in order, nested classes checked as well.

    Raises NotSupported at the first field whose type cannot be stored, compared or written, naming field and remedy.
    """
    return _fields(cls, ())


def unknown_in(cls: type[Value]) -> list[str]:
    """The fields of a class, and of those within it, of which nothing is known since they are typed Any, as `Cls.field`."""
    found = [f"{owner.__name__}.{name}" for owner, name, shape in shapes_within(cls) if isinstance(shape, Anything)]
    return list(dict.fromkeys(found))


def shapes_within(cls: type[Value]) -> typing.Iterator[tuple[type[Value], str, Shape]]:
    """All shapes in a class and in those within it: whose field, its name, and the shape, before what it is made of."""
    for field in shape_of(cls):
        pending = [field.shape]
        while pending:
            shape = pending.pop()
            yield cls, field.name, shape
            match shape:
                case Maybe(of) | Many(of) | SetOf(of) | MapOf(of):
                    pending.append(of)
                case Record(inner):
                    yield from shapes_within(inner)
                case OneOf(classes):
                    for each in classes:
                        yield from shapes_within(each)
                case _:
                    pass


def classes_in(annotation: object) -> tuple[type[Value], ...]:
    """The value classes of a union annotation (or of one class alone), in order; empty where it is anything else."""
    annotation = _plain(annotation)
    if _is_union(annotation):
        parts = [classes_in(part) for part in typing.get_args(annotation)]
        return tuple(cls for part in parts for cls in part) if all(parts) else ()
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return (annotation,)
    return ()


def _fields(cls: type[Value], above: tuple[type[Value], ...]) -> tuple[Field, ...]:
    if cls in above:
        chain = " -> ".join(c.__name__ for c in (*above, cls))
        raise NotSupported(
            f"{chain}: a value that contains its own kind has no bound on its depth. "
            "Hold the ids of the inner ones, or a tuple of a flat value."
        )
    if not NAME.fullmatch(cls.__name__):
        raise NotSupported(f"{cls.__name__}: a class name becomes an Avro name: letters, digits and _ only.")
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as unresolved:
        raise NotSupported(
            f"{cls.__name__}: {unresolved}. Annotations are read when the app is built: "
            "define the types that a value uses at the top of a module, not inside a function."
        ) from unresolved
    fields: list[Field] = []
    for info in msgspec.structs.fields(cls):
        where = f"{cls.__name__}.{info.name}"
        if not NAME.fullmatch(info.name):
            raise NotSupported(f"{where}: a field name becomes an Avro name: letters, digits and _ only.")
        default = info.default
        if info.default_factory is not msgspec.NODEFAULT:
            default = typing.cast("typing.Callable[[], object]", info.default_factory)()
        fields.append(Field(info.name, _shape(hints[info.name], where, (*above, cls)), default))
    return tuple(fields)


class _Notes(typing.NamedTuple):
    """What `Annotated` said around a type."""

    metas: tuple[msgspec.Meta, ...] = ()
    digits: Digits | None = None


UNNOTED = _Notes()


def _plain(annotation: object) -> object:
    """See through NewType and `type X = ...` aliases."""
    while True:
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # 3.12 and later
            annotation = typing.cast("typing.Any", annotation).__value__
        else:
            return annotation


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


ADVICE: dict[object, str] = {
    list: "write tuple[X, ...]: a state that can be changed in place cannot be replayed",
    set: "write frozenset[X]: a state that can be changed in place cannot be replayed",
    dict: "write eventcore.Map[X]: a state that can be changed in place cannot be replayed",
    object: "name its type, or write Any while nobody knows it: what is unknown cannot be released",
    complex: "write two float fields",
    bytearray: "write bytes",
    Decimal: "declare its digits: Annotated[Decimal, Digits(12, 2)]",
}


def _shape(annotation: object, where: str, above: tuple[type[Value], ...], outer: _Notes = UNNOTED) -> Shape:
    """The shape of an annotation, `outer` being what was noted around the optional type that holds it."""
    annotation = _plain(annotation)
    metas, digits = outer.metas, outer.digits
    while typing.get_origin(annotation) is typing.Annotated:
        inner, *extras = typing.get_args(annotation)
        metas = (*(e for e in extras if isinstance(e, msgspec.Meta)), *metas)
        digits = next((e for e in extras if isinstance(e, Digits)), digits)
        annotation = _plain(inner)
    if (optional := _optional(annotation)) is not None:
        inner_shape = _shape(optional, where, above, _Notes(metas, digits))
        return inner_shape if isinstance(inner_shape, Maybe | Anything) else Maybe(inner_shape)
    if digits is not None and annotation is not Decimal:
        raise NotSupported(f"{where}: Digits say how a Decimal is stored, and this is none.")
    meta = _Merged(metas, where)
    shape = _bare(annotation, meta, digits, where, above)
    meta.refuse_unused(shape)
    return shape


def _bare(
    annotation: object, meta: _Merged, digits: Digits | None, where: str, above: tuple[type[Value], ...]
) -> Shape:
    simple = _simple(annotation, meta, digits, where)
    if simple is not None:
        return simple
    if annotation is tuple or typing.get_origin(annotation) is tuple:
        args = typing.get_args(annotation)
        if len(args) != 2 or args[1] is not Ellipsis:
            raise NotSupported(
                f"{where}: write tuple[X, ...] for many of one kind, or a Value with a field for each part."
            )
        return Many(_shape(args[0], where, above), *meta.lengths())
    if typing.get_origin(annotation) is frozenset:
        return SetOf(_shape(typing.get_args(annotation)[0], where, above), *meta.lengths())
    if typing.get_origin(annotation) is Map:
        return MapOf(_shape(typing.get_args(annotation)[0], where, above), *meta.lengths())
    if typing.get_origin(annotation) is typing.Literal:
        return _literal(annotation, where)
    if _is_union(annotation):
        return _union(annotation, where, above)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum(annotation, where)
    if isinstance(annotation, type) and issubclass(annotation, Value):
        _fields(annotation, above)
        return Record(annotation)
    raise _refused(annotation, where)


def _refused(annotation: typing.Any, where: str) -> NotSupported:
    name = getattr(annotation, "__name__", None) or str(annotation)
    advice = ADVICE.get(annotation) or ADVICE.get(typing.get_origin(annotation))
    if advice is None and isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        advice = "derive it from eventcore.Value"
    return NotSupported(
        f"{where}: {name} is not a type that a value may hold; "
        + (advice or "see docs for the types of fields: plain types, Value, Enum, tuple, frozenset, Map, X | None")
        + "."
    )


class _Merged:
    """The constraints of all `Meta` of one annotation, the tightest of each kind."""

    def __init__(self, metas: tuple[msgspec.Meta, ...], where: str) -> None:
        self._where = where
        self._used: set[str] = set()
        self.ge = max((m.ge for m in metas if m.ge is not None), default=None)
        self.gt = max((m.gt for m in metas if m.gt is not None), default=None)
        self.le = min((m.le for m in metas if m.le is not None), default=None)
        self.lt = min((m.lt for m in metas if m.lt is not None), default=None)
        self.multiple_of = [m.multiple_of for m in metas if m.multiple_of is not None]
        self.min_length = max((m.min_length for m in metas if m.min_length is not None), default=None)
        self.max_length = min((m.max_length for m in metas if m.max_length is not None), default=None)
        self.pattern = [m.pattern for m in metas if m.pattern is not None]

    def refuse_unused(self, shape: Shape) -> None:
        """Raise NotSupported where a constraint was given that means nothing for this shape: it would not be checked."""
        given = {name for name, bound in vars(self).items() if not name.startswith("_") and bound not in (None, [])}
        if unused := sorted(given - self._used):
            raise NotSupported(
                f"{self._where}: Meta({unused[0]}=...) says nothing about {type(shape).__name__}; "
                "bounds are for numbers, lengths for text, bytes and collections, multiple_of for int, pattern for str."
            )

    def integer(self) -> Int:
        self._used |= {"ge", "gt", "le", "lt", "multiple_of"}
        low, high = LONG_MIN, LONG_MAX
        for bound, is_low, shift in ((self.ge, True, 0), (self.gt, True, 1), (self.le, False, 0), (self.lt, False, -1)):
            if bound is None:
                continue
            if isinstance(bound, float) and not bound.is_integer():
                raise NotSupported(f"{self._where}: the bound {bound} of an int is not a whole number.")
            if is_low:
                low = max(low, int(bound) + shift)
            else:
                high = min(high, int(bound) + shift)
        if low > high:
            raise NotSupported(f"{self._where}: no int lies between {low} and {high}.")
        return Int(low, high, self._step())

    def _step(self) -> int | None:
        for step in self.multiple_of:
            if step != int(step):
                raise NotSupported(f"{self._where}: an int can be a multiple of a whole number, not of {step}.")
        return math.lcm(*map(int, self.multiple_of)) if self.multiple_of else None

    def text_pattern(self) -> str | None:
        self._used.add("pattern")
        if len(self.pattern) > 1:
            raise NotSupported(f"{self._where}: two patterns for one field; write one that says both.")
        return self.pattern[0] if self.pattern else None

    def bounds(self) -> Bounds:
        self._used |= {"ge", "gt", "le", "lt"}
        return Bounds(self.ge, self.gt, self.le, self.lt)

    def lengths(self) -> tuple[int, int | None]:
        self._used |= {"min_length", "max_length"}
        if self.max_length is not None and self.max_length < (self.min_length or 0):
            raise NotSupported(f"{self._where}: no length lies between {self.min_length} and {self.max_length}.")
        return self.min_length or 0, self.max_length


def _simple(annotation: object, meta: _Merged, digits: Digits | None, where: str) -> Shape | None:
    if annotation is typing.Any:
        return Anything()
    if annotation is bool:
        return Bool()
    if annotation is int:
        return meta.integer()
    if annotation is float:
        return Float(meta.bounds())
    if annotation is str:
        return Str(*meta.lengths(), meta.text_pattern())
    if annotation is bytes:
        return Bytes(*meta.lengths())
    if annotation is Decimal and digits is not None:
        if not 0 <= digits.scale <= digits.precision or digits.precision < 1:
            raise NotSupported(f"{where}: {digits} needs 1 <= precision and 0 <= scale <= precision.")
        if digits.precision > DIGITS_MAX:
            raise NotSupported(f"{where}: a Decimal has at most {DIGITS_MAX} digits, not {digits.precision}.")
        return Number(digits.precision, digits.scale, meta.bounds())
    plain: dict[object, Shape] = {datetime: Instant(), date: Day(), timedelta: Duration(), UUID: Ident()}
    return plain.get(annotation) if isinstance(annotation, type) else None


def _literal(annotation: object, where: str) -> Choice:
    members = typing.get_args(annotation)
    if not all(isinstance(m, str) and NAME.fullmatch(m) for m in members):
        raise NotSupported(
            f"{where}: a Literal may hold strings of letters, digits and _ only; for others use an Enum."
        )
    return Choice(where.replace(".", "_"), tuple(members), tuple(members), None)


def _enum(cls: type[enum.Enum], where: str) -> Choice:
    if issubclass(cls, enum.Flag):
        raise NotSupported(f"{where}: {cls.__name__} is a Flag; write a frozenset of an Enum, or a bool for each flag.")
    members = tuple(cls)
    by_value = all(isinstance(m.value, str) for m in members)
    symbols = tuple(str(m.value) if by_value else m.name for m in members)
    for symbol in symbols:
        if not NAME.fullmatch(symbol):
            raise NotSupported(
                f"{where}: {cls.__name__} has the symbol {symbol!r}; Avro allows letters, digits and _ only."
            )
    if not members:
        raise NotSupported(f"{where}: {cls.__name__} has no members.")
    return Choice(cls.__name__, symbols, members, cls)


def _optional(annotation: object) -> object:
    """What `X | None` makes optional: X, or the union of the rest; None where the annotation is not optional."""
    parts = typing.get_args(annotation) if _is_union(annotation) else ()
    rest = tuple(part for part in parts if part is not type(None))
    if not rest or len(rest) == len(parts):
        return None
    united: typing.Any = rest[0]
    for part in rest[1:]:
        united = united | part
    return united


def _union(annotation: object, where: str, above: tuple[type[Value], ...]) -> Shape:
    parts = typing.get_args(annotation)
    classes = classes_in(annotation)
    if not classes:
        raise NotSupported(
            f"{where}: a union may join value classes, and None; for {' | '.join(str(p) for p in parts)} "
            "write one small Value for each case."
        )
    names = [c.__name__ for c in classes]
    if len(set(names)) != len(names):
        raise NotSupported(f"{where}: two classes of this union bear one name: {', '.join(names)}.")
    for cls in classes:
        _fields(cls, above)
    return OneOf(classes)
