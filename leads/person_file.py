"""Everything that is kept about one person, chapter by chapter: as a file to hand over, and what is made to forget them.

Higher rooms add their chapters through `register_chapter` in AppConfig.ready. A test holds the chapters against the schema, so that no
table that names a contact is left out of the file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from leads import queries_consent
from leads.addresses import address_hash
from leads.models import ConsentEvent, Contact, DataRequest
from leads.text import normal_address
from leads.workspace import workspace

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

LONGEST_SHOWN = 1_000  # characters of a value on the page to read; the JSON beside it holds all
MOST_SHOWN = 2_000  # rows of a chapter there
IN_MEMORY = 5_000_000  # bytes of a file before it goes to the disk
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Person:
    """Whom a file is about: the contact while there is one, and every address that was theirs, by hash and as far as it is known."""

    contact: Contact | None
    digests: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def contact_id(self) -> int:
        """0 where there is none: no row names it."""
        return self.contact.pk if self.contact else 0


@dataclass(frozen=True)
class Chapter:
    """Rows of one kind. `key` names them in the JSON; `tables` are the tables they are read from. `addresses`: those that its rows know of
    the person, who may have had others before.

    `forget` takes away, or out of the rows, what deleting the contact leaves behind; it runs before the contact goes.
    """

    key: str
    title: StrOrPromise
    tables: frozenset[str]
    rows: Callable[[Person], Iterable[Row]]
    forget: Callable[[Person, datetime], object] | None = None
    order: int = 100
    only_json: frozenset[str] = frozenset()  # what nobody reads on a page
    addresses: Callable[[Person], Iterable[str]] | None = None


_chapters: dict[str, Chapter] = {}


def register_chapter(chapter: Chapter) -> None:
    if chapter.key in _chapters:
        raise ValueError(f"Chapter “{chapter.key}” is registered already.")
    _chapters[chapter.key] = chapter


def chapters() -> list[Chapter]:
    return sorted(_chapters.values(), key=lambda chapter: (chapter.order, chapter.key))


def person_of(request: DataRequest) -> Person:
    """With every address that was theirs, as far as anything knows it; not those that somebody else has now.

    A few statements, some over all mails and all contacts: somebody asks, which is rare.
    """
    contact = request.contact
    if contact is None and request.address_hash:
        found = queries_consent.contacts_with_hash(request.address_hash)
        contact = Contact.objects.filter(pk__in=found).first()
    digests = {request.address_hash} - {""}
    if contact is not None:
        digests |= {address_hash(contact.email)} if contact.email else set()
        said = ConsentEvent.objects.filter(contact=contact).order_by().values_list("address_hash", flat=True)
        digests |= set(said.distinct())
    known = _addresses(Person(contact, tuple(sorted(digests)), ()))
    return _without_others(contact, digests | {address_hash(address) for address in known}, known)


def _addresses(person: Person) -> set[str]:
    """In clear, as the chapters know them."""
    found = {person.contact.email or ""} if person.contact else set()
    for chapter in chapters():
        found |= set(chapter.addresses(person)) if chapter.addresses is not None else set()
    return {normal_address(address) for address in found if address}


def _without_others(contact: Contact | None, digests: set[str], addresses: set[str]) -> Person:
    """An address that the person left may be a colleague's today: what was said under it is the colleague's matter."""
    own = contact.pk if contact else None
    others = {
        digest
        for digest, people in queries_consent.people_with_hashes(sorted(digests)).items()
        if own is not None and own not in people
    }
    return Person(
        contact,
        tuple(sorted(digests - others)),
        tuple(sorted(address for address in addresses if address_hash(address) not in others)),
    )


def counts(person: Person) -> dict[str, int]:
    """Chapter -> rows, without empty ones. A few statements for each chapter."""
    found = {chapter.key: sum(1 for _row in chapter.rows(person)) for chapter in chapters()}
    return {key: number for key, number in found.items() if number}


def titles() -> dict[str, StrOrPromise]:
    return {chapter.key: chapter.title for chapter in chapters()}


# --- The file -------------------------------------------------------------------------------------------------------------


def write_file(person: Person, *, now: datetime) -> tuple[IO[bytes], dict[str, int]]:
    """A zip with person.json, person.html and its style, at its beginning; and the rows of each chapter."""
    found = [(chapter, [dict(row) for row in chapter.rows(person)]) for chapter in chapters()]
    told = [(chapter, rows) for chapter, rows in found if rows]
    name = workspace().name
    document = {
        "kept_by": name,
        "made_at": now,
        "chapters": {chapter.key: rows for chapter, rows in told},
    }
    page = render_to_string(
        "leads/person_file.html",
        {"name": name, "now": now, "chapters": [_shown(chapter, rows) for chapter, rows in told]},
    )
    file = cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115  # the caller reads and closes it
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("person.json", json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2))
        archive.writestr("person.html", page)
        archive.writestr("person.css", render_to_string("leads/person_file.css"))
    file.seek(0)
    return file, {chapter.key: len(rows) for chapter, rows in told}


def _shown(chapter: Chapter, rows: Sequence[Row]) -> dict[str, Any]:
    """A chapter for people: one row as a list of names and values, many as a table; what is empty throughout is left out."""
    shown_rows = rows[:MOST_SHOWN]
    names = [name for name in rows[0] if name not in chapter.only_json and any(row[name] for row in shown_rows)]
    heads = [capfirst(name.replace("_", " ")) for name in names]
    shown = [[_words(row[name]) for name in names] for row in shown_rows]
    return {
        "title": chapter.title,
        "heads": heads,
        "rows": shown,
        "pairs": list(zip(heads, shown[0], strict=True)) if len(rows) == 1 else [],
        "more": max(0, len(rows) - MOST_SHOWN),
        "number": len(rows),
    }


def _words(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return date_format(timezone.localtime(value), "DATETIME_FORMAT")
    if isinstance(value, date):
        return date_format(value, "DATE_FORMAT")
    if isinstance(value, (dict, list)):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False) if value else ""
    words = str(value)
    return (
        words
        if len(words) <= LONGEST_SHOWN
        else _("%(text)s … (all of it in person.json)") % {"text": words[:LONGEST_SHOWN]}
    )
