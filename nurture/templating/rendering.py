"""A template with its placeholders filled for one person: made once into HTML and text, filled for each reader.

How the HTML comes about stands in assembly.py, what Liquid may do in sandbox.py, what placeholders may name in placeholders.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from django.utils.translation import gettext as _
from liquid import BoundTemplate

from nurture.models import Template
from nurture.templating import assembly, image_addresses, languages, sandbox
from nurture.templating.mail_text import tidy, to_text
from nurture.templating.placeholders import BEYOND, CONFIRM, PREFERENCES, ROOTS, UNSUBSCRIBE
from nurture.templating.stationery import Cupboard
from nurture.tracking.links import hosts_in

LONGEST_SUBJECT = 250  # characters; a longer one is cut, since no reader shows more
ADDRESS = "workspace.postal_address"


class BadTemplate(Exception):
    """The template cannot be turned into a mail; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What one person reads. Sender's name and answers' address are empty where the workspace's hold."""

    subject: str
    html: str
    text: str
    sender_name: str = ""
    reply_to: str = ""


@dataclass(frozen=True)
class Compiled:
    """A template parsed: filled for one person in well under a millisecond."""

    subject: BoundTemplate
    html: BoundTemplate
    text: BoundTemplate
    sender_name: BoundTemplate
    reply_to: BoundTemplate
    blocks: frozenset[str]  # names of blocks shown by condition
    roots: frozenset[str]  # what placeholders begin with: contact, score …
    hosts: frozenset[str] = frozenset()  # that the template itself names: links to them may lead by us
    source: str = ""  # the HTML before its placeholders are filled
    words: str = ""  # the text part before its foot and its values

    @property
    def parts(self) -> tuple[BoundTemplate, ...]:
        return (self.subject, self.html, self.text, self.sender_name, self.reply_to)

    def fill(self, context: Mapping[str, Any]) -> Mail:
        """Raises BadTemplate when a placeholder, loop or block fails for this person."""
        return Mail(
            one_line(_filled(self.subject, context)),
            _filled(self.html, context),
            tidy(_filled(self.text, context)),
            one_line(_filled(self.sender_name, context)),
            one_line(_filled(self.reply_to, context)),
        )


def compiled(template: Template, language: str = "", cupboard: Cupboard | None = None) -> Compiled:
    """Its words in a language that it is translated into, else in its own. No statement unless it has a layout or snippets. Raises BadTemplate."""
    try:
        template = (cupboard or Cupboard()).dressed(template, language)
    except assembly.BadSource as error:
        raise BadTemplate(str(error)) from error
    return compile_source(
        template.format,
        template.subject,
        template.preheader,
        template.body,
        sender_name=template.sender_name,
        reply_to=template.reply_to,
        language=template.language,
        text=template.text if template.has_own_text else None,
        blocks=frozenset(block["key"] for block in template.blocks),
    )


@lru_cache(maxsize=512)
def compile_source(
    format: str,
    subject: str,
    preheader: str,
    body: str,
    *,
    sender_name: str = "",
    reply_to: str = "",
    language: str = "",
    text: str | None = None,
    blocks: frozenset[str] = frozenset(),
) -> Compiled:
    """Parse a template; raises BadTemplate naming the line. A postal address and an unsubscribe link are added where they lack.

    `text` is the text part where somebody wrote it, `blocks` are the names that have a condition.
    """
    try:
        sandbox.refuse_source(body)
        html = image_addresses.absolute(assembly.to_html(format, body, language=language))
    except assembly.BadSource as error:
        raise BadTemplate(str(error)) from error
    except sandbox.TooMuch as error:
        raise BadTemplate(_liquid_words(error)) from error
    words = to_text(html) if text is None else text.strip()
    html = _with_preheader(html, preheader)
    html = _with_footer(html, language)
    whole = to_text(html) if text is None else _with_foot(words, language)
    found = [_parsed(part, is_html=False) for part in (subject, whole, sender_name, reply_to)]
    page = _parsed(html, is_html=True)
    named = frozenset(name for part in (page, *found) for name in sandbox.blocks_named(part))
    if orphans := sorted(named - blocks):
        raise BadTemplate(_liquid_words(sandbox.TooMuch(sandbox.no_condition(orphans[0]))))
    roots = frozenset(path.partition(".")[0].partition("[")[0] for path in _paths([page, *found]))
    return Compiled(found[0], page, found[1], found[2], found[3], named, roots, hosts_in(html), html, words)


def _parsed(text: str, *, is_html: bool) -> BoundTemplate:
    try:
        return sandbox.parse(text, is_html=is_html)
    except Exception as error:  # whatever Liquid's reader does with what people write, they are told
        raise BadTemplate(_liquid_words(error)) from error


def _filled(part: BoundTemplate, context: Mapping[str, Any]) -> str:
    if not part.nodes:  # most mails name no sender of their own
        return ""
    try:
        return part.render(**context)
    except Exception as error:  # a filter fed with the wrong thing may raise anything; it is this template's mistake
        raise BadTemplate(_liquid_words(error)) from error


def _liquid_words(error: Exception) -> str:
    return _("A placeholder cannot be worked out: %(why)s.") % {"why": sandbox.words_of(error)}


def _with_preheader(html: str, preheader: str) -> str:
    if not preheader.strip():
        return html
    hidden = (
        '<div style="display:none;max-height:0;max-width:0;opacity:0;overflow:hidden;font-size:1px;line-height:1px">'
        f"{escape(preheader, quote=False)}</div>"
    )
    found = re.search(r"<body[^>]*>", html, re.IGNORECASE)
    return html[: found.end()] + hidden + html[found.end() :] if found else hidden + html


def _with_foot(text: str, language: str) -> str:
    """The text that somebody wrote, with the address and the ways out that it lacks."""
    lines = [] if ADDRESS in text else ["{{ workspace.name }}", "{{ workspace.postal_address }}"]
    preferences, unsubscribe = languages.ways_out(language)
    links = {} if CONFIRM in text else {PREFERENCES: preferences, UNSUBSCRIBE: unsubscribe}
    if UNSUBSCRIBE not in text:
        lines += [f"{words}: {{{{ {name} }}}}" for name, words in links.items() if name not in text]
    return "\n".join([text, "--", *lines]) if lines else text


def _with_footer(html: str, language: str) -> str:
    lines = []
    if ADDRESS not in html:
        address = "{{ workspace.name }}<br>{{ workspace.postal_address | newline_to_br }}"
        lines.append(f'<div dir="auto">{address}</div>')  # a Latin address stays one in an Arabic mail
    preferences, unsubscribe = languages.ways_out(language)
    links = {} if CONFIRM in html else {PREFERENCES: preferences, UNSUBSCRIBE: unsubscribe}
    missing = [
        f'<a href="{{{{ {name} }}}}" style="color:#667085;text-decoration:underline">{escape(words)}</a>'
        for name, words in links.items()
        if name not in html
    ]
    if UNSUBSCRIBE not in html and missing:
        lines.append(" · ".join(missing))
    if not lines:
        return html
    footer = (
        '<div style="margin:0 auto;max-width:600px;padding:24px 16px;text-align:center;color:#667085;'
        f'font:12px/1.6 Helvetica,Arial,sans-serif">{"<br>".join(lines)}</div>'
    )
    place = html.lower().rfind("</body>")
    return html[:place] + footer + html[place:] if place >= 0 else html + footer


# --- Plain texts, and placeholders that nobody can fill -------------------------------------------------------------------


@lru_cache(maxsize=128)
def _parsed_words(text: str) -> BoundTemplate:
    return _parsed(text, is_html=False)


def fill_words(text: str, context: Mapping[str, Any]) -> str:
    """A plain text (a notice, not a mail) filled for one person. Raises BadTemplate."""
    return tidy(_filled(_parsed_words(text), context)).strip()


def unknown_words(text: str) -> list[str]:
    """Placeholders of a plain text that no contact can ever fill. Raises BadTemplate for what cannot be read."""
    return _unknown([_parsed_words(text)], {name: keys for name, keys in ROOTS.items() if name not in BEYOND})


def unknown_placeholders(compiled_template: Compiled) -> list[str]:
    """Placeholders that no contact can ever fill, such as contact.frist_name."""
    return _unknown(compiled_template.parts, ROOTS)


def placeholders_of(compiled_template: Compiled) -> list[str]:
    """Everything that the mail's words name, in order."""
    return sorted(set(_paths(compiled_template.parts)))


def _paths(parts: Iterable[BoundTemplate]) -> list[str]:
    return [path for part in parts for path in part.global_variable_paths()]


def _unknown(parts: Sequence[BoundTemplate], roots: Mapping[str, frozenset[str]]) -> list[str]:
    found: set[str] = set()
    for path in _paths(parts):
        root, _dot, rest = path.partition(".")
        key = re.split(r"[.\[]", rest, maxsplit=1)[0]
        if root not in roots or (roots[root] and key and key not in roots[root]):
            found.add(path)
    return sorted(found)


def one_line(text: str) -> str:
    """A header's value: no line break or control character gets in, whatever a name or subject holds."""
    printable = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_SUBJECT]
