"""Plain values (of JSON, say) become dataclasses: every field checked against its annotation and its range."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from countenance.errors import BadValue
from countenance.ranges import Range

T = TypeVar("T")
Limits: TypeAlias = tuple[Range, Range]
"""For whole and for real numbers whose fields name no :class:`Range` of their own."""

ANY_NUMBER: Final[Limits] = (Range(-(2**53), 2**53), Range(-1e300, 1e300))
NEWER: Final = {"newer": True}
"""Metadata of a field that older files lack; its default is what they mean."""


def record(kind: Callable[..., T], content: object, limits: Limits = ANY_NUMBER, *, within: str = "") -> T:
    """``content`` as the dataclass ``kind``: exactly its fields, each of its type. Those marked :data:`NEWER` may lack.

    Annotations can be bool, int, float, str, Literal, None, dataclasses, and tuples, dicts and unions of these; with
    ``Annotated[..., Range]`` for numbers.

    Args:
        kind: a dataclass.
        content: a table by field name.
        limits: for numbers without a range of their own.
        within: name of what the fields belong to, for errors.

    Raises:
        BadValue: which field, and what belongs there.
    """
    if not isinstance(content, Mapping):
        raise BadValue(f"its {within.rstrip('.') or 'content'} is no table of names")
    known = _fields(kind)
    lacking = {name for name, field in known.items() if name not in content and not _may_lack(field)}
    odd = sorted(lacking | {str(name)[:60] for name in content if name not in known})
    if odd:
        raise BadValue(f"its {within.rstrip('.') or 'content'} does not fit: {', '.join(odd[:5])}")
    types_ = _types(kind)
    return kind(
        **{name: typed(types_[name], given, f"{within}{name}", limits) for name, given in content.items()}
    )


def typed(annotation: Any, content: object, name: str, limits: Limits = ANY_NUMBER) -> Any:
    """One value as its annotation says; see :func:`record`.

    Raises:
        BadValue: it is another kind of value, or outside its range.
    """
    if (made := _read(annotation, content, name, limits)) is _WRONG:
        raise BadValue(f"its {name} is {_shown(content)}; {_wanted(annotation, limits)} belongs there")
    return made


_WRONG: Final = object()


def _read(annotation: Any, content: object, name: str, limits: Limits) -> Any:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        ranges = [extra for extra in inside[1:] if isinstance(extra, Range)]
        return _read(inside[0], content, name, (ranges[0], ranges[0]) if ranges else limits)
    if origin in (Union, types.UnionType):
        if content is None and type(None) in inside:
            return None
        for choice in inside:
            if (made := _read(choice, content, name, limits)) is not _WRONG:
                return made
        return _WRONG
    if origin is Literal:
        return content if any(type(content) is type(word) and content == word for word in inside) else _WRONG
    if origin is tuple:
        return _tuple(inside, content, name, limits)
    if origin is dict:
        if not isinstance(content, dict) or not all(type(key) is str for key in content):
            return _WRONG
        return {key: typed(inside[1], given, f"{name}.{key[:60]}", limits) for key, given in content.items()}
    if is_dataclass(annotation):
        return record(cast(Any, annotation), content, limits, within=f"{name}.")
    return _plain(annotation, content, limits)


def _plain(annotation: Any, content: object, limits: Limits) -> Any:
    if annotation in (None, type(None)):
        return content if content is None else _WRONG
    if annotation in (bool, str):
        return content if type(content) is annotation else _WRONG
    if annotation is int:
        return content if type(content) is int and limits[0].holds(content) else _WRONG
    if annotation is float:
        return content if type(content) in (int, float) and limits[1].holds(content) else _WRONG
    raise TypeError(f"no values from files for fields of {annotation}")


def _tuple(inside: tuple[Any, ...], content: object, name: str, limits: Limits) -> Any:
    if not isinstance(content, list | tuple):
        return _WRONG
    kinds = [inside[0]] * len(content) if len(inside) == 2 and inside[1] is Ellipsis else list(inside)
    if len(kinds) != len(content):
        return _WRONG
    return tuple(
        typed(kind, one, f"{name}[{i}]", limits)
        for i, (kind, one) in enumerate(zip(kinds, content, strict=True))
    )


def _may_lack(field: Field[Any]) -> bool:
    given = field.default is not MISSING or field.default_factory is not MISSING
    return given and bool(field.metadata.get("newer"))


@lru_cache(maxsize=64)
def _fields(kind: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(kind) if field.init}


@lru_cache(maxsize=64)
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _shown(content: object) -> str:
    if isinstance(content, str | int | float | bool | None):
        text = repr(content)
        return text if len(text) <= 40 else f"{text[:40]} ..."
    return f"a {'table' if isinstance(content, Mapping) else type(content).__name__}"


def _wanted(annotation: Any, limits: Limits) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = next((extra for extra in inside[1:] if isinstance(extra, Range)), None)
        return _wanted(inside[0], (own, own) if own else limits)
    if origin in (Union, types.UnionType):
        return " or ".join(_wanted(choice, limits) for choice in inside)
    if origin is Literal:
        return " or ".join(repr(word) for word in inside)
    if annotation is int:
        return f"a whole number, {limits[0]},"
    if annotation is float:
        return f"a number, {limits[1]},"
    plain = {bool: "true or false", str: "a text", type(None): "nothing", tuple: "a list", dict: "a table"}
    return plain.get(origin or annotation, "a table")
