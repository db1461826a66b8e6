"""What each type of field takes: from a cell's text or a JSON value to what is stored, or the reason why not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from leads import countries
from leads.lifecycle import POSITION
from leads.models import CustomField, Deal
from leads.text import clean, fold, normal_address

Convert = Callable[[Any], Any]

FIRST_YEAR, LAST_YEAR = 1900, 2100
LONGEST_TEXT = 10_000
LONGEST_LONG_TEXT = 100_000
LONGEST_TAG = 100
LONGEST_ADDRESS = 320
MOST_TAGS = 500

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
ISO_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)? ?(Z|z|[+-]\d{2}(:?\d{2})?)?")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
GROUPED_NUMBER = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
ADDRESS = re.compile(r"[^@\s<>()\[\],;:\\\"]+@[^@\s<>()\[\],;:\\\"./]+(\.[^@\s<>()\[\],;:\\\"./]+)+")
URL = re.compile(r"(https?://)?[^\s/@:?#]+\.[^\s/@:?#]+(:\d+)?([/?#]\S*)?", re.IGNORECASE)
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
TRUE = frozenset({"true", "yes", "1", "t", "y"})
FALSE = frozenset({"false", "no", "0", "f", "n"})


class BadValue(ValueError):
    """The value does not fit; the message is a sentence for people, without the field's name."""


@dataclass(frozen=True)
class Reading:
    """How dates and numbers without a fixed form are to be read."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    dates: str | None = None  # a strptime format; ISO is always understood
    decimal_comma: bool = False


# --- Text ------------------------------------------------------------------------------------------------------------------


def as_text(value: Any) -> str:
    """Trimmed NFC text of a cell or a JSON text, number or yes/no. Raises BadValue for anything else."""
    if type(value) is not str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | Decimal):
            return str(value)
        raise BadValue(_("text is expected here"))
    value = value.strip() if value.isascii() else clean(value)
    if "\x00" in value:
        raise BadValue(_("the text contains a NUL character"))
    return str(value)


def text(limit: int) -> Convert:
    def convert(value: Any) -> str:
        if type(value) is str and len(value) <= limit and value.isascii() and "\x00" not in value:
            return value.strip()  # nearly every cell of a file comes this way
        found = as_text(value)
        if len(found) > limit:
            raise BadValue(
                _("the text has %(length)d characters; %(limit)d are allowed") % {"length": len(found), "limit": limit}
            )
        return found

    return convert


def email(value: Any) -> str:
    found = normal_address(as_text(value))
    if len(found) > LONGEST_ADDRESS or not ADDRESS.fullmatch(found):
        raise BadValue(_("“%(text)s” is no e-mail address") % {"text": _short(found)})
    return found


def url(value: Any) -> str:
    found = as_text(value)
    if len(found) > LONGEST_TEXT or not URL.fullmatch(found):
        raise BadValue(_("“%(text)s” is no web address") % {"text": _short(found)})
    return found


def country(value: Any) -> str:
    found = as_text(value)
    if len(found) > 100:
        raise BadValue(
            _("the text has %(length)d characters; %(limit)d are allowed") % {"length": len(found), "limit": 100}
        )
    return _country(found)


@lru_cache(maxsize=10_000)
def _country(text: str) -> str:
    return countries.normal(text)


def slug(value: Any) -> str:
    """A kind of activity: any slug."""
    found = as_text(value)
    if not SLUG.fullmatch(found):
        found = found.lower().replace(" ", "_")
        if not SLUG.fullmatch(found):
            raise BadValue(
                _("“%(text)s” is no kind of activity: use lower-case letters, digits, _ and -, at most 63")
                % {"text": _short(found)}
            )
    return found


# --- Numbers, yes/no -----------------------------------------------------------------------------------------------------


def number(reading: Reading) -> Convert:
    """A JSON number (int or float) from a number or the text of one."""
    comma = reading.decimal_comma

    def convert(value: Any) -> int | float:
        spelled = _number_text(value, comma)
        try:
            if spelled.lstrip("+-").isdigit():
                return int(spelled)
            found = float(spelled)
        except ValueError as error:  # thousands of digits
            raise BadValue(_("“%(text)s” is no number") % {"text": _short(spelled)}) from error
        if found in (float("inf"), float("-inf")):
            raise BadValue(_("the number is too large"))
        return found

    return convert


def decimal(reading: Reading) -> Convert:
    """What numeric(24, 6) holds."""
    comma = reading.decimal_comma

    def convert(value: Any) -> Decimal:
        spelled = _number_text(value, comma)
        try:
            found = Decimal(spelled)
        except InvalidOperation as error:
            raise BadValue(_("“%(text)s” is no number") % {"text": _short(spelled)}) from error
        if abs(found) >= 10**18 or len(spelled) > 60:
            raise BadValue(_("the number is too large"))
        return found

    return convert


def whole(reading: Reading, *, lowest: int, highest: int) -> Convert:
    comma = reading.decimal_comma

    def convert(value: Any) -> int:
        spelled = _number_text(value, comma)
        try:
            found = Decimal(spelled)
        except InvalidOperation as error:
            raise BadValue(_("“%(text)s” is no number") % {"text": _short(spelled)}) from error
        if not lowest <= found <= highest:
            raise BadValue(
                _("a number from %(lowest)d to %(highest)d is expected") % {"lowest": lowest, "highest": highest}
            )
        if found != found.to_integral_value():
            raise BadValue(_("“%(text)s” is no whole number") % {"text": _short(spelled)})
        return int(found)

    return convert


def _number_text(value: Any, comma: bool) -> str:
    if type(value) is str:
        spelled = value.strip()
        if comma:
            spelled = spelled.replace(".", "").replace(",", ".") if spelled.count(",") < 2 else spelled
        elif "," in spelled and GROUPED_NUMBER.fullmatch(spelled):
            spelled = spelled.replace(",", "")
        if NUMBER.fullmatch(spelled) and spelled.isascii():
            return spelled
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        spelled = str(value)
        if spelled[-1].isdigit():
            return spelled
    raise BadValue(_("“%(text)s” is no number") % {"text": _short(str(value))})


def yes_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE:
            return True
        if word in FALSE:
            return False
    raise BadValue(_("“%(text)s” is neither yes nor no") % {"text": _short(str(value))})


# --- Choices, tags -------------------------------------------------------------------------------------------------------


def choice(choices: Sequence[str]) -> Convert:
    """One of the choices, whatever its case; without any, every text is one."""
    known = {fold(name): name for name in choices}

    def convert(value: Any) -> str:
        found = as_text(value)
        if len(found) > 200:
            raise BadValue(
                _("the text has %(length)d characters; %(limit)d are allowed") % {"length": len(found), "limit": 200}
            )
        if not known:
            return found
        try:
            return known[fold(found)]
        except KeyError:
            raise BadValue(
                _("“%(text)s” is none of the choices: %(choices)s")
                % {"text": _short(found), "choices": _short(", ".join(choices), 200)}
            ) from None

    return convert


def several(one: Convert) -> Convert:
    """A JSON list, or a cell whose parts are separated by ; or | or that holds a JSON list. Repeated parts count once."""

    def convert(value: Any) -> list[str]:
        parts = parts_of(value)
        if len(parts) > MOST_TAGS:
            raise BadValue(_("more than %(count)d entries in one cell") % {"count": MOST_TAGS})
        found: dict[str, str] = {}
        for part in parts:
            name = one(part)
            if name:
                found.setdefault(fold(name), name)
        return list(found.values())

    return convert


def parts_of(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise BadValue(_("a list is expected here"))
    spelled = value.strip()
    if spelled.startswith("["):
        try:
            parts = json.loads(spelled)
        except (ValueError, RecursionError):
            parts = None
        if isinstance(parts, list):
            return parts
    return [part for part in (part.strip() for part in re.split(r"[;|]", spelled)) if part]


tags = several(text(LONGEST_TAG))


# --- Dates and moments ---------------------------------------------------------------------------------------------------


def day(reading: Reading) -> Convert:
    @lru_cache(maxsize=20_000)
    def parse(spelled: str) -> date:
        found = _parse(spelled, reading)
        if isinstance(found, datetime):
            if found.tzinfo is not None:
                found = found.astimezone(reading.zone)
            found = found.date()
        inside: date = _within(found, spelled)
        return inside

    return lambda value: parse(_spelled_date(value))


def moment(reading: Reading) -> Convert:
    @lru_cache(maxsize=20_000)
    def parse(spelled: str) -> datetime:
        found = _within(_parse(spelled, reading), spelled)
        if not isinstance(found, datetime):
            found = datetime.combine(found, time())
        if found.tzinfo is None:
            found = found.replace(tzinfo=reading.zone)
        return found.astimezone(UTC)

    return lambda value: parse(_spelled_date(value))


def _spelled_date(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if not isinstance(value, str):
        raise BadValue(_("a date is expected here, written like 2026-03-31"))
    return value.strip()


def _parse(spelled: str, reading: Reading) -> date | datetime:
    if reading.dates:
        try:
            found = datetime.strptime(spelled, reading.dates)  # noqa: DTZ007 — the caller adds the zone
        except ValueError:
            pass
        else:
            return found if _has_time(reading.dates) else found.date()
    try:
        if ISO_DATE.fullmatch(spelled):
            return date.fromisoformat(spelled)
        if ISO_MOMENT.fullmatch(spelled):
            return datetime.fromisoformat(spelled.replace(",", ".").replace(" +", "+").replace(" Z", "Z").upper())
    except ValueError:
        pass
    expected = reading.dates or "2026-03-31"
    raise BadValue(_("“%(text)s” is no date; expected is %(form)s") % {"text": _short(spelled), "form": expected})


def _has_time(form: str) -> bool:
    return any(code in form for code in ("%H", "%I", "%X", "%c", "%s"))


def _within(found: date, spelled: str) -> Any:
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise BadValue(
            _("“%(text)s” lies outside of %(first)d–%(last)d")
            % {"text": _short(spelled), "first": FIRST_YEAR, "last": LAST_YEAR}
        )
    return found


# --- By type -------------------------------------------------------------------------------------------------------------


def stage(value: Any) -> str:
    found = fold(as_text(value))
    if found not in POSITION:
        raise BadValue(
            _("“%(text)s” is no stage; the stages are %(choices)s")
            % {"text": _short(found), "choices": ", ".join(POSITION)}
        )
    return found


def status(value: Any) -> str:
    found = fold(as_text(value))
    if found not in Deal.Status.values:
        raise BadValue(_("“%(text)s” is no status; use open, won or lost") % {"text": _short(found)})
    return found


def json_object(value: Any) -> dict[str, Any]:
    """Properties of an activity: a JSON object, in a cell its text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadValue(_("“%(text)s” is no JSON object") % {"text": _short(str(value))}) from error
    if not isinstance(value, dict):
        raise BadValue(_("“%(text)s” is no JSON object") % {"text": _short(str(value))})
    return _cleaned_object(value)


def _cleaned_object(value: dict[str, Any]) -> dict[str, Any]:
    return {_cleaned(key): _cleaned(inner) for key, inner in value.items()}


def _cleaned(value: Any) -> Any:
    """The same with every text trimmed and in NFC, keys too."""
    if type(value) is str:
        return value.strip() if value.isascii() else clean(value)
    if type(value) is dict:
        return _cleaned_object(value)
    return [_cleaned(inner) for inner in value] if type(value) is list else value


def for_custom(type: str, choices: Sequence[str], reading: Reading) -> Convert:
    """From text or JSON to the JSON value that a custom field of this type stores."""
    kinds = CustomField.Type
    as_day, as_moment = day(reading), moment(reading)
    table: dict[str, Convert] = {
        kinds.TEXT: text(LONGEST_TEXT),
        kinds.LONG_TEXT: text(LONGEST_LONG_TEXT),
        kinds.NUMBER: number(reading),
        kinds.MONEY: number(reading),
        kinds.YES_NO: yes_no,
        kinds.CHOICE: choice(choices),
        kinds.CHOICES: several(choice(choices)),
        kinds.DATE: lambda value: as_day(value).isoformat(),
        kinds.MOMENT: lambda value: as_moment(value).isoformat(),
        kinds.EMAIL: email,
        kinds.URL: url,
        kinds.PHONE: text(60),
        kinds.COUNTRY: country,
    }
    return table[type]


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
