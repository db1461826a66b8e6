"""A template with its placeholders filled for one person: MJML to HTML once, Liquid for everybody, a text part beside it.

Liquid runs sandboxed: values are plain texts, numbers and dictionaries, nothing can be loaded or called, loops and output are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import Any

import mrml
from django.utils.translation import gettext as _
from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from leads.models import Company, Contact, Owner, Workspace
from nurture.models import Template
from nurture.tracking.links import hosts_in

LARGEST_BODY = 500_000  # characters of a template's source
LONGEST_SUBJECT = 250  # characters; a longer one is cut, since no reader shows more
UNSUBSCRIBE = "unsubscribe_url"
PREFERENCES = "preferences_url"
CONFIRM = "confirm_url"  # only in mails that ask somebody to confirm
ADDRESS = "workspace.postal_address"

# Contact and company fields that a placeholder may name, as the rule language calls them.
CONTACT_FIELDS = (
    "external_id",
    "email",
    "first_name",
    "last_name",
    "title",
    "department",
    "seniority",
    "phone",
    "country",
    "region",
    "city",
    "postal_code",
    "language",
    "source",
    "stage",
)
COMPANY_FIELDS = ("name", "domain", "industry", "employees", "founded", "country", "region", "city")
ROOTS: dict[str, frozenset[str]] = {
    "contact": frozenset({*CONTACT_FIELDS, "full_name", "tags", "custom"}),
    "company": frozenset({*COMPANY_FIELDS, "tags", "custom"}),
    "owner": frozenset({"name", "first_name", "email", "team"}),
    "workspace": frozenset({"name", "postal_address", "sender_name"}),
    UNSUBSCRIBE: frozenset(),
    PREFERENCES: frozenset(),
    CONFIRM: frozenset(),
    "purposes": frozenset(),
}


class BadTemplate(Exception):
    """The template cannot be turned into a mail; the message says why, for people."""


class _Bounded(Environment):
    loop_iteration_limit = 10_000
    output_stream_limit = 2_000_000
    local_namespace_limit = 200_000
    context_depth_limit = 20


def _environment(*, autoescape: bool) -> _Bounded:
    environment = _Bounded(autoescape=autoescape)
    for unsafe in ("safe", "base64_decode", "base64_url_safe_decode", "escapejs"):
        environment.filters.pop(unsafe, None)
    return environment


_HTML = _environment(autoescape=True)
_TEXT = _environment(autoescape=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """What one person reads."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Compiled:
    """A template parsed: filled for one person in well under a millisecond."""

    subject: BoundTemplate
    html: BoundTemplate
    text: BoundTemplate
    hosts: frozenset[str] = frozenset()  # that the template itself names: links to them may lead by us

    def fill(self, context: Mapping[str, Any]) -> Mail:
        """Raises BadTemplate when a placeholder or loop fails for this person."""
        try:
            subject = self.subject.render(**context)
            html = self.html.render(**context)
            text = self.text.render(**context)
        except (LiquidError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise BadTemplate(_liquid_words(error)) from error
        return Mail(one_line(subject), html, _tidy(text))


def compiled(template: Template) -> Compiled:
    return compile_source(template.format, template.subject, template.preheader, template.body)


@lru_cache(maxsize=128)
def compile_source(format: str, subject: str, preheader: str, body: str) -> Compiled:
    """Parse a template; raises BadTemplate naming the line. A postal address and an unsubscribe link are added where they lack."""
    if len(body) > LARGEST_BODY:
        raise BadTemplate(
            _("The template has %(n)d characters; %(most)d are allowed.") % {"n": len(body), "most": LARGEST_BODY}
        )
    html = _mjml(body) if format == Template.Format.MJML else _document(body)
    html = _with_preheader(html, preheader)
    html = _with_footer(html, body)
    try:
        return Compiled(
            _TEXT.from_string(subject, name="subject"),
            _HTML.from_string(html, name="body"),
            _TEXT.from_string(to_text(html), name="text"),
            hosts_in(html),
        )
    except (LiquidError, RecursionError) as error:
        raise BadTemplate(_liquid_words(error)) from error


def _mjml(body: str) -> str:
    # no web fonts: a mail that calls Google when it is opened tells Google who reads it
    options = mrml.RenderOptions(fonts={})
    try:
        html: str = mrml.to_html(body, render_options=options).content
    except Exception as error:  # mrml raises OSError and what Rust panics become
        raise BadTemplate(_("The MJML cannot be read: %(why)s.") % {"why": str(error).strip().rstrip(".")}) from error
    return html


def _document(body: str) -> str:
    if re.search(r"<html[\s>]", body, re.IGNORECASE):
        return body
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>'
        f"<body>{body}</body></html>"
    )


def _with_preheader(html: str, preheader: str) -> str:
    if not preheader.strip():
        return html
    hidden = (
        '<div style="display:none;max-height:0;max-width:0;opacity:0;overflow:hidden;font-size:1px;line-height:1px">'
        f"{escape(preheader, quote=False)}</div>"
    )
    found = re.search(r"<body[^>]*>", html, re.IGNORECASE)
    return html[: found.end()] + hidden + html[found.end() :] if found else hidden + html


def _with_footer(html: str, body: str) -> str:
    lines = []
    if ADDRESS not in body:
        lines.append("{{ workspace.name }}<br>{{ workspace.postal_address | newline_to_br }}")
    links = {} if CONFIRM in body else {PREFERENCES: _("Preferences"), UNSUBSCRIBE: _("Unsubscribe")}
    missing = [
        f'<a href="{{{{ {name} }}}}" style="color:#667085;text-decoration:underline">{escape(words)}</a>'
        for name, words in links.items()
        if name not in body
    ]
    if UNSUBSCRIBE not in body and missing:
        lines.append(" · ".join(missing))
    if not lines:
        return html
    footer = (
        '<div style="margin:0 auto;max-width:600px;padding:24px 16px;text-align:center;color:#667085;'
        f'font:12px/1.6 Helvetica,Arial,sans-serif">{"<br>".join(lines)}</div>'
    )
    place = html.lower().rfind("</body>")
    return html[:place] + footer + html[place:] if place >= 0 else html + footer


def _liquid_words(error: Exception) -> str:
    if isinstance(error, LiquidError):
        said = str(getattr(error, "message", "") or error).splitlines()[0].strip().rstrip(".:")
        return _("A placeholder cannot be worked out: %(why)s.") % {"why": said or type(error).__name__}
    return _("A placeholder cannot be worked out: %(why)s.") % {"why": type(error).__name__}


# --- Placeholders ----------------------------------------------------------------------------------------------------------


def context_for(
    contact: Contact | None, *, workspace: Workspace, unsubscribe_url: str, address: str = "", preferences_url: str = ""
) -> dict[str, Any]:
    """Every value a placeholder may name; what is unknown is an empty text, so that `default` applies.

    No statement if company and owner are loaded.
    """
    contact = contact or Contact(email=address)
    company: Company | None = contact.company
    owner: Owner | None = contact.owner
    return {
        "contact": {
            **{name: _plain(getattr(contact, name)) for name in CONTACT_FIELDS},
            "full_name": contact.full_name,
            "tags": list(contact.tags),
            "custom": contact.custom,
        },
        "company": {
            **{name: _plain(getattr(company, name, "")) for name in COMPANY_FIELDS},
            "tags": list(company.tags) if company else [],
            "custom": company.custom if company else {},
        },
        "owner": {
            "name": owner.name if owner else "",
            "first_name": owner.name.split(" ")[0] if owner else "",
            "email": owner.email if owner else "",
            "team": owner.team if owner else "",
        },
        "workspace": {
            "name": workspace.name,
            "postal_address": workspace.postal_address,
            "sender_name": workspace.sender_name or workspace.name,
        },
        UNSUBSCRIBE: unsubscribe_url,
        PREFERENCES: preferences_url,
    }


def _plain(value: Any) -> Any:
    return "" if value is None else value


@lru_cache(maxsize=128)
def _parsed_words(text: str) -> BoundTemplate:
    try:
        return _TEXT.from_string(text, name="text")
    except (LiquidError, RecursionError) as error:
        raise BadTemplate(_liquid_words(error)) from error


def fill_words(text: str, context: Mapping[str, Any]) -> str:
    """A plain text (a notice, not a mail) filled for one person. Raises BadTemplate."""
    try:
        return _tidy(_parsed_words(text).render(**context)).strip()
    except (LiquidError, ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise BadTemplate(_liquid_words(error)) from error


def unknown_words(text: str) -> list[str]:
    """Placeholders of a plain text that no contact can ever fill. Raises BadTemplate for what cannot be read."""
    return _unknown([_parsed_words(text)])


def unknown_placeholders(compiled_template: Compiled) -> list[str]:
    """Placeholders that no contact can ever fill, such as contact.frist_name."""
    return _unknown([compiled_template.subject, compiled_template.html])


def _unknown(parts: Iterable[BoundTemplate]) -> list[str]:
    found: set[str] = set()
    for part in parts:
        for path in part.global_variable_paths():
            root, _dot, rest = path.partition(".")
            key = re.split(r"[.\[]", rest, maxsplit=1)[0]
            if root not in ROOTS or (ROOTS[root] and key and key not in ROOTS[root]):
                found.add(path)
    return sorted(found)


def one_line(text: str) -> str:
    """A header's value: no line break or control character gets in, whatever a name or subject holds."""
    printable = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_SUBJECT]


# --- Text part --------------------------------------------------------------------------------------------------------------


class _ToText(HTMLParser):
    """Reads HTML as a plain-text reader would: blocks become lines, links keep their address, images their words."""

    BLOCKS = frozenset(
        [
            "p",
            "div",
            "tr",
            "table",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "ul",
            "ol",
            "blockquote",
            "section",
            "article",
            "header",
            "footer",
            "center",
            "br",
            "hr",
        ]
    )
    SKIPPED = frozenset({"head", "style", "script", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.skipping = 0
        self.links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in self.SKIPPED:
            self.skipping += 1
        elif self.skipping:
            return
        elif tag == "a":
            self.links.append((values.get("href") or "", len(self.parts)))
        elif tag == "img":
            self.parts.append(values.get("alt") or "")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "div" and "display:none" in (values.get("style") or "").replace(" ", ""):
            self.skipping += 1
            self.links.append(("\0hidden", 0))
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        elif tag == "div" and self.links and self.links[-1][0] == "\0hidden":
            self.links.pop()
            self.skipping = max(0, self.skipping - 1)
        elif self.skipping:
            return
        elif tag == "a" and self.links:
            href, start = self.links.pop()
            words = "".join(self.parts[start:]).strip()
            if href and href != words and not href.startswith("#"):
                self.parts.append(f" ({href.removeprefix('mailto:')})")
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.parts.append(re.sub(r"\s+", " ", data))


def to_text(html: str) -> str:
    """The words of an HTML document, its Liquid left as it stands."""
    reader = _ToText()
    reader.feed(re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL))
    reader.close()
    return _tidy("".join(reader.parts))


def _tidy(text: str) -> str:
    return "\n".join(_paragraphs(text)) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    blank = True
    for line in (" ".join(line.split()) for line in text.splitlines()):
        if line:
            blank = False
            yield line
        elif not blank:
            blank = True
            yield ""
