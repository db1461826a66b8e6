"""One HTML document with placeholders, made of what people write: pasted HTML cleaned, MJML turned into HTML, in either direction of writing."""

from __future__ import annotations

import re

import mrml
from django.utils.translation import gettext as _

from nurture.templating import cleaning, languages
from nurture.templating.shielding import LIQUID, Shield

MJML = "mjml"
LARGEST = 500_000  # characters of a source

# Where only elements may stand, and where mrml would put words in front of a column's table.
_BETWEEN = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-group"})
_COLUMN = frozenset({"mj-column", "mj-hero"})
_HOLDS_HTML = frozenset({"mj-text", "mj-button", "mj-raw", "mj-table", "mj-style", "mj-title", "mj-preview", "mj-navbar-link"}) | {
    "mj-social-element", "mj-accordion-title", "mj-accordion-text",
}  # fmt: skip
_ATTRIBUTES = re.compile(r"<mj-attributes\b.*?</mj-attributes\s*>", re.DOTALL)  # where left means: where a line begins
_TAG = re.compile(r"<!--.*?-->|<(/?)(mj[\w-]*)((?:\"[^\"]*\"|'[^']*'|[^'\"<>])*?)(/?)>", re.DOTALL)


class BadSource(Exception):
    """It cannot become a mail; the message says why, for people."""


def refuse_size(body: str) -> None:
    """Raises BadSource: before anything reads a source that is too large."""
    if len(body) > LARGEST:
        raise BadSource(
            _("The template has %(n)d characters; %(most)d are allowed.") % {"n": len(body), "most": LARGEST}
        )


def to_html(format: str, body: str, *, language: str = "") -> str:
    """Raises BadSource."""
    refuse_size(body)
    body = body.replace(
        "\r\n", "\n"
    )  # browsers send two signs for a new line; mrml knows only one between elements of the head
    return _mjml(body, language) if format == MJML else _document(body, language)


# --- HTML ----------------------------------------------------------------------------------------------------------------


def _document(body: str, language: str) -> str:
    inside = cleaning.cleaned(body)
    rules, _style, inside = inside.partition("</style>") if inside.startswith("<style>") else ("", "", inside)
    head = f"{rules}</style>" if rules else ""
    said = f' lang="{language}"' if language else ""
    said += ' dir="rtl"' if languages.is_right_to_left(language) else ""
    return (
        f'<!doctype html><html{said}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}</head>'
        f"<body>{inside}</body></html>"
    )


# --- MJML ----------------------------------------------------------------------------------------------------------------


def _mjml(body: str, language: str) -> str:
    if acting := cleaning.acting_parts(body):
        raise BadSource(cleaning.refusal(acting))
    shield, text = Shield.over(body)
    text = _with_language(text, language)
    text = _with_places(text, shield)
    # no web fonts: a mail that calls Google when it is opened tells Google who reads it
    options = mrml.RenderOptions(fonts={})
    try:
        html: str = mrml.to_html(text, render_options=options).content
    except Exception as error:  # mrml raises OSError and what Rust panics become
        why = unclosed(body) or str(error).strip().rstrip(".")
        raise BadSource(_("The MJML cannot be read: %(why)s.") % {"why": why}) from error
    rows = re.compile(rf'<tr><td class="{shield.stand_in}"[^>]*><div[^>]*>&#8202;</div></td></tr>')
    html = rows.sub(lambda found: shield.pieces[int(found[1])], html)
    return shield.lift(html)


def unclosed(body: str) -> str:
    """The first tag that is not closed, or closes another one, with its line; empty where they fit."""
    text = LIQUID.sub(lambda piece: re.sub(r"[^\n]", " ", piece[0]), body)
    opened: list[tuple[str, int]] = []
    for found in _TAG.finditer(text):
        closing, name, alone = found[1], found[2], found[4]
        if name is None or alone:
            continue
        line = text.count("\n", 0, found.start()) + 1
        if not closing:
            opened.append((name, line))
        elif opened and opened[-1][0] == name:
            opened.pop()
        elif opened:
            words = _("<%(name)s> in line %(line)d is still open where </%(other)s> stands in line %(end)d")
            return words % {"name": opened[-1][0], "line": opened[-1][1], "other": name, "end": line}
        else:
            return _("</%(name)s> in line %(line)d closes nothing") % {"name": name, "line": line}
    if not opened:
        return ""
    return _("<%(name)s> in line %(line)d is not closed") % {"name": opened[-1][0], "line": opened[-1][1]}


def _with_language(text: str, language: str) -> str:
    """Says the language to screen readers, and turns everything around for one that is written from the right."""
    if not language:
        return text
    is_right = languages.is_right_to_left(language)
    opening = re.search(r"<mjml\b[^>]*>", text)
    if opening is None:
        return text
    said = "" if "lang=" in opening[0] else f' lang="{language}"'
    said += "" if "dir=" in opening[0] else (' dir="rtl"' if is_right else ' dir="ltr"')
    text = text[: opening.start()] + opening[0][:-1] + said + ">" + text[opening.end() :]
    if language.partition("-")[0] in languages.WHOLE_WORDS:
        text = into_head(text, "<mj-style>div { word-break: keep-all; overflow-wrap: break-word; }</mj-style>")
    if not is_right:
        return text
    text = _ATTRIBUTES.sub(lambda found: found[0].replace('align="left"', 'align="right"'), text)
    right = (
        '<mj-text align="right" /><mj-section direction="rtl" /><mj-column direction="rtl" /><mj-table align="right" />'
    )
    return into_head(text, f"<mj-attributes>{right}</mj-attributes>")


def into_head(text: str, piece: str, *, last: bool = False) -> str:
    """The piece in front of all that the head says, which wins; or behind it, where the piece shall win."""
    if last and (closing := re.search(r"</mj-head\s*>", text)):
        return text[: closing.start()] + piece + text[closing.start() :]
    if opening := re.search(r"<mj-head\b[^>/]*>", text):
        return text[: opening.end()] + piece + text[opening.end() :]
    if opening := re.search(r"<mjml\b[^>]*>", text):
        return text[: opening.end()] + f"<mj-head>{piece}</mj-head>" + text[opening.end() :]
    return text


def _with_places(text: str, shield: Shield) -> str:
    """Lets `{% if %}` and `{% block %}` stand between sections, columns and what columns hold, where MJML takes elements only."""
    made: list[str] = []
    open_tags: list[str] = []
    place, inside = 0, ""  # the element that holds HTML and is passed over
    for found in _TAG.finditer(text):
        if not inside:
            made.append(_placed(text[place : found.start()], open_tags, shield))
        else:
            made.append(text[place : found.start()])
        made.append(found[0])
        place = found.end()
        closing, name, alone = found[1], found[2], found[4]
        if name is None or alone:
            continue
        if inside:
            inside = "" if closing and name == inside else inside
        elif closing:
            if name in open_tags:
                del open_tags[len(open_tags) - 1 - open_tags[::-1].index(name) :]
        elif name in _HOLDS_HTML:
            inside = name
        else:
            open_tags.append(name)
    made.append(text[place:])
    return "".join(made)


def _placed(words: str, open_tags: list[str], shield: Shield) -> str:
    parent = open_tags[-1] if open_tags else ""
    if not words.strip() or parent not in _BETWEEN | _COLUMN:
        return words
    pieces = re.findall(shield.stand_in, words)
    if (
        not pieces
        or not all(shield.is_liquid(number) for number in pieces)
        or re.sub(shield.stand_in, "", words).strip()
    ):
        return words
    if parent in _BETWEEN:
        return "".join(f"<mj-raw>{shield.word}{number}z</mj-raw>" for number in pieces)
    return "".join(f'<mj-spacer height="0px" css-class="{shield.word}{number}z" />' for number in pieces)
