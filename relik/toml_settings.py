"""Settings dataclasses read from TOML: all that is wrong is named at once, with its line.

The annotations of a dataclass say what a setting may be: a scalar, a `Literal`, a tuple, a mapping,
another dataclass, and bounds as of `annotated_types`, such as `Annotated[float, Gt(0)]`. Nothing is
read from the environment.
"""

import dataclasses
import difflib
import tomllib
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval

from relik.errors import ConfigError

T = TypeVar("T")
Keys: TypeAlias = tuple[str | int, ...]
"""Where a setting stands: names of tables, positions in lists, the name of the setting."""

Positive: TypeAlias = Annotated[int, Ge(1)]
Natural: TypeAlias = Annotated[int, Ge(0)]
Weight: TypeAlias = Annotated[float, Ge(0)]
Share: TypeAlias = Annotated[float, Interval(ge=0, le=1)]
Rate: TypeAlias = Annotated[float, Gt(0)]
Dropout: TypeAlias = Annotated[float, Interval(ge=0, lt=1)]

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple: "a list",
    dict: "a table",
}
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", "more than", lambda value, bound: value > bound),
    ("ge", "at least", lambda value, bound: value >= bound),
    ("lt", "less than", lambda value, bound: value < bound),
    ("le", "at most", lambda value, bound: value <= bound),
)


@dataclass(frozen=True, slots=True)
class PartOf:
    """Marks a table that has some settings of a dataclass, to be put in the place of others.

    What the dataclass asks of several settings together is checked once they are all known.

    Args:
        kind: The dataclass.
    """

    kind: type


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a setting.

    Args:
        keys: Where it stands.
        text: What was got, what was expected, and what to do.
    """

    keys: Keys
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """A parsed file that can still say on which line a setting stands.

    Args:
        path: The file.
        text: What is in it.
        values: The same, parsed; settings may be moved and set.
        moved: Keys that settings had in the text, by their keys in `values`.
        said: What the command line said of a setting, by its keys.
    """

    path: Path
    text: str
    values: dict[str, Any]
    moved: dict[Keys, Keys] = field(default_factory=dict)
    said: dict[Keys, str] = field(default_factory=dict)

    def move(self, old: Keys, new: Keys) -> None:
        """Put a setting into another table, if it is there.

        Raises:
            ConfigError: It stands in both.
        """
        held = _find(self.values, old[:-1])
        if held is None or old[-1] not in held:
            return
        target = self.table(new[:-1])
        if new[-1] in target:
            raise ConfigError(
                f"{self.place(old)}: got {_named(old)} and {_named(new)}, which replaces it, "
                f"expected one of the two: take {_named(old)} out"
            )
        target[new[-1]] = held.pop(old[-1])
        self.moved[new] = old

    def set(self, keys: Keys, value: object, said: str) -> None:
        """Put a value in the place of what the file has.

        Args:
            keys: Of the setting; tables that are not there are made.
            value: As of TOML.
            said: Names its source in messages.

        Raises:
            ConfigError: One of the tables is none.
        """
        self.table(keys[:-1], f"got {said}, but")[keys[-1]] = value
        self.said[keys] = said

    def table(self, keys: Keys, because: str = "got") -> dict[Any, Any]:
        """Give a table, made where it is not there.

        Raises:
            ConfigError: It is none.
        """
        table: Any = self.values
        for at, key in enumerate(keys):
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(
                    f"{self.place(keys)}: {because} {_named(keys[: at + 1])} = {table!r}, "
                    "expected a table: change it in the file"
                )
        return typing.cast(dict[Any, Any], table)

    def read(self, kind: type[T]) -> T:
        """Build the settings.

        Raises:
            ConfigError: Names all that is wrong.
        """
        return _made(kind, self.values, str(self.path), self.place)

    def place(self, keys: Keys) -> str:
        """Name the line of a setting, or of the nearest table around it."""
        for end in range(len(keys), 0, -1):
            if (said := self.said.get(keys[:end])) is not None:
                return said
        for end in range(len(keys), 0, -1):
            if (old := self.moved.get(keys[:end])) is not None:
                keys = (*old, *keys[end:])
                break
        lines = key_lines(self.text)
        line = next(
            (lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), 0
        )
        return f"{self.path}:{line}" if line else str(self.path)


def open_toml(path: Path) -> TomlFile:
    """Parse a TOML file.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path=path, text=text, values=tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}): correct it") from error


def read_toml(kind: type[T], path: Path) -> T:
    """Read a settings dataclass from a TOML file.

    Raises:
        ConfigError: The file is missing, is not TOML, or has wrong settings.
    """
    return open_toml(path).read(kind)


def from_mapping(kind: type[T], values: Mapping[str, object], *, where: str) -> T:
    """Build a settings dataclass from a parsed table.

    Args:
        kind: The dataclass.
        values: The table.
        where: Names it in messages.

    Raises:
        ConfigError: Names all that is wrong.
    """
    return _made(kind, values, where, lambda _: where)


def check(kind: Any, values: object) -> tuple[object, list[Problem]]:
    """Build settings, or find what is wrong.

    Returns:
        The settings, of no use where there are problems; the problems, in the order of the keys.
    """
    problems: list[Problem] = []
    made = _value(kind, values, (), problems)
    return made, problems


def key_lines(text: str) -> dict[Keys, int]:
    """Tell on which line, from 1, each key of a TOML text stands, and each table begins."""
    lines = text.split("\n")
    found: dict[Keys, int] = {}
    numbers: Counter[Keys] = Counter()
    table: Keys = ()
    first = 0
    while first < len(lines):
        last = first + 1
        while (said := _parsed("\n".join(lines[first:last]))) is None and last < len(lines):
            last += 1
        if lines[first].lstrip().startswith("["):
            table = _header(said or {}, numbers)
            found.setdefault(table, first + 1)
        else:
            for keys in _all_keys(said or {}, table):
                found.setdefault(keys, first + 1)
        first = last
    return found


def describe(kind: object) -> str:
    """Say what values a setting may have, as messages and the documents do."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return " ".join([describe(arguments[0]), *_bounds_text(arguments[1:])])
    if origin is Literal:
        *some, last = [repr(each) for each in arguments]
        return f"{', '.join(some)} or {last}" if some else last
    if origin in (Union, UnionType):
        return " or ".join(describe(each) for each in arguments if each is not NoneType)
    if origin is tuple:
        return f"a list, each {describe(arguments[0])}"
    if dataclasses.is_dataclass(kind) or origin is not None:
        return _WORDS[dict]
    return _WORDS.get(typing.cast(type, kind), str(kind))


def settings_of(kind: type) -> dict[str, object]:
    """Give the annotations of the settings of a dataclass, bounds included."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _made(kind: type[T], values: object, where: str, place: Callable[[Keys], str]) -> T:
    made, problems = check(kind, values)
    if not problems:
        return typing.cast(T, made)
    lines = [": ".join(filter(None, (place(p.keys), _named(p.keys), p.text))) for p in problems]
    if len(lines) == 1:
        raise ConfigError(lines[0])
    raise ConfigError("\n  ".join([f"{where}: got {len(lines)} wrong settings", *lines]))


def _value(kind: Any, value: Any, at: Keys, problems: list[Problem]) -> Any:
    """Check a value and give it as its annotation has it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(arguments, value, at, problems)
    if origin in (Union, UnionType):
        fitting = (made for made, wrong in (check(each, value) for each in arguments) if not wrong)
        if (made := next(fitting, problems)) is not problems:
            return made
    if isinstance(value, Mapping | list | tuple):
        return _container(kind, value, at, problems)
    if kind is float and type(value) is int:
        return float(value)
    fits = value in arguments if origin is Literal else kind is object or type(value) is kind
    if not fits:
        _wrong(value, describe(kind), at, problems)
    return value


def _container(kind: Any, value: Any, at: Keys, problems: list[Problem]) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _settings(typing.cast(type, kind), value, at, problems)
    if origin is tuple and not isinstance(value, Mapping):
        each = arguments[0]
        return tuple(_value(each, one, (*at, i), problems) for i, one in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        for key in value:
            _value(arguments[0], key, (*at, key), problems)
        return {key: _value(arguments[1], one, (*at, key), problems) for key, one in value.items()}
    if kind is not object:
        _wrong(value, describe(kind), at, problems)
    return value


def _bounded(arguments: tuple[Any, ...], value: Any, at: Keys, problems: list[Problem]) -> Any:
    kind, *marks = arguments
    before = len(problems)
    made = _value(kind, value, at, problems)
    if len(problems) > before:
        return made
    for mark in marks:
        if isinstance(mark, PartOf):
            return _settings(mark.kind, value, at, problems, partly=True)
        if not all(holds(made, bound) for _, bound, holds in _bounds(mark)):
            _wrong(value, describe(Annotated[arguments]), at, problems)
            break
    return made


def _settings(
    kind: type, table: Mapping[str, Any], at: Keys, problems: list[Problem], *, partly: bool = False
) -> Any:
    """Check a table; build the dataclass, or where it is partly given, keep the table."""
    before, known = len(problems), settings_of(kind)
    made = {}
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
            problems.append(Problem((*at, name), f"got an unknown setting, {hint}"))
        elif partly and dataclasses.is_dataclass(known[name]) and isinstance(value, Mapping):
            inner = typing.cast(type, known[name])
            made[name] = _settings(inner, value, (*at, name), problems, partly=True)
        else:
            made[name] = _value(known[name], value, (*at, name), problems)
    if partly:
        return made
    for each in dataclasses.fields(kind):
        bare = each.default is each.default_factory is dataclasses.MISSING
        if bare and each.name not in table:
            problems.append(
                Problem(
                    (*at, each.name), f"got nothing, expected {describe(known[each.name])}: add it"
                )
            )
    if len(problems) > before:
        return table
    try:
        return kind(**made)
    except ConfigError as error:
        problems.append(Problem(at, str(error)))
        return table


def _wrong(value: object, expected: str, at: Keys, problems: list[Problem]) -> None:
    problems.append(Problem(at, f"got {value!r}, expected {expected}: change it"))


def _bounds(mark: object) -> list[tuple[str, Any, Callable[[Any, Any], bool]]]:
    """Give the words, the value and the test of the bounds that an annotation has."""
    return [
        (words, bound, holds)
        for name, words, holds in _BOUNDS
        if (bound := getattr(mark, name, None)) is not None
    ]


def _bounds_text(marks: tuple[object, ...]) -> list[str]:
    texts = [f"{words} {bound}" for mark in marks for words, bound, _ in _bounds(mark)]
    return [" and ".join(texts)] if texts else []


def _find(table: Any, keys: Keys) -> dict[Any, Any] | None:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def _named(keys: Keys) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _header(table: Any, numbers: Counter[Keys]) -> Keys:
    """Give the keys of a table's header; a table of a list has its position in them."""
    keys: Keys = ()
    while isinstance(table, dict) and table:
        ((name, table),) = table.items()
        keys = (*keys, name)
        if isinstance(table, list):
            numbers[keys] += 1
            table = table[0]
        if numbers[keys]:
            keys = (*keys, numbers[keys] - 1)
    return keys


def _all_keys(value: object, at: Keys) -> Iterator[Keys]:
    inner: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        inner = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    for key, each in inner:
        yield (*at, key)
        yield from _all_keys(each, (*at, key))
