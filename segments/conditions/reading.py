"""From JSON text to a document that check() can look at; what is no JSON is refused with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _


class NotJson(ValueError):
    """The text is no JSON; the message is a sentence for people."""


class RepeatedKeys(dict[str, Any]):
    """An object that names a key more than once: JSON keeps the last one, a person may have meant another. check() refuses it."""

    repeated: tuple[str, ...] = ()


def read_document(text: str, *, exact: bool = False) -> Any:
    """The document; with `exact` its fractions are Decimals, digit by digit. Raises NotJson."""
    try:
        return json.loads(
            text,
            parse_float=_decimal if exact else None,
            parse_int=_whole,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise NotJson(_("This is nested too deep to be a rule.")) from error
    except json.JSONDecodeError as error:
        raise NotJson(
            _("This is no JSON: line %(line)s, column %(column)s: %(why)s.")
            % {"line": error.lineno, "column": error.colno, "why": error.msg}
        ) from error


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    found = dict(listed)
    if len(found) == len(listed):
        return found
    repeated = RepeatedKeys(found)
    counts = Counter(key for key, _value in listed)
    repeated.repeated = tuple(key for key, count in counts.items() if count > 1)
    return repeated


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise NotJson(_("“%(text)s” is no number that can be stored.") % {"text": text[:60]}) from error


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:  # thousands of digits
        raise NotJson(_("“%(text)s…” has too many digits to be a number.") % {"text": text[:20]}) from error


def _no_constant(name: str) -> Any:
    raise NotJson(_("“%(name)s” is no number of JSON.") % {"name": name})
