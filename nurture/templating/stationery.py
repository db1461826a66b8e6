"""What mails have in common: snippets that their words name, and layouts that frame them; put in before anything is compiled.

`{% render 'slug' %}` in a body, layout or subject stands for a snippet, `{% content %}` in a layout for the body. In a mail that is written in Korean,
`{% render 'foot' %}` takes the snippet `foot-ko` where there is one; layouts are found by language in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from nurture.models import Stationery, Template
from nurture.templating import assembly, languages, translations
from nurture.templating.shielding import LIQUID

if TYPE_CHECKING:
    from nurture.templating.rendering import Compiled

DEEPEST = 5  # snippets within snippets
MOST = 100  # snippets put into one mail
LINES = ("subject", "preheader", "sender_name", "reply_to")  # parts of a template that hold words only, no tags
_RENDER = re.compile(r"""\{%-?\s*render\s+(?:'([a-z0-9_-]{1,100})'|"([a-z0-9_-]{1,100})")\s*-?%\}""")
_CONTENT = re.compile(r"\{%-?\s*content\s*-?%\}")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_MJ_BODY = re.compile(r"<mj-body\b[^>]*>(.*)</mj-body\s*>", re.DOTALL)
_MJ_HEAD = re.compile(r"<mj-head\b[^>]*>(.*?)</mj-head\s*>", re.DOTALL)
_HTML_BODY = re.compile(r"<body\b[^>]*>(.*?)(?:</body\s*>|</html\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_STYLES = re.compile(r"<style\b[^>]*>.*?</style\s*>", re.DOTALL | re.IGNORECASE)


def named(text: str) -> list[str]:
    """Snippets that a text names, in order, each once."""
    found = (_RENDER.fullmatch(piece[0]) for piece in LIQUID.finditer(text))
    return list(dict.fromkeys(one[1] or one[2] for one in found if one))


def places(text: str) -> int:
    """How often a layout says where the body stands."""
    return sum(1 for piece in LIQUID.finditer(text) if _CONTENT.fullmatch(piece[0]))


class Cupboard:
    """The snippets and layouts at hand, read when a template first asks for one; keeps what it compiled. For one slice of mails, or one page."""

    def __init__(self, others: Iterable[Stationery] = ()) -> None:
        """`others` stand in for what is stored, before it is saved."""
        self._others = {row.slug: row for row in others}
        self._compiled: dict[tuple[int, str], tuple[Template, Compiled]] = {}

    @cached_property
    def _rows(self) -> Mapping[str, Stationery]:
        """One statement."""
        return {row.slug: row for row in Stationery.objects.all()} | self._others

    def compiled(self, template: Template, language: str = "") -> Compiled:
        """Once for each template and language. Raises BadTemplate."""
        from nurture.templating.rendering import compiled

        known = self._compiled.get((id(template), language))
        if known is None:
            known = template, compiled(template, language, self)  # the template stays, so that its id is nobody else's
            self._compiled[id(template), language] = known
        return known[1]

    def dressed(self, template: Template, language: str) -> Template:
        """The template as it reads in a language, framed by its layout, its snippets put in. Raises BadSource."""
        found = translations.in_language(template, language)
        layout = self._layout_of(template)
        lines = {name: getattr(found, name) for name in LINES}
        if layout is None and "render" not in "".join((found.body, found.text, *lines.values())):
            return found
        dressed = copy(found)
        spoken = language or template.language
        if layout is not None:
            dressed.body = framed(self._in_language(layout.slug, spoken) or layout, found.body)
        dressed.body = self._filled(dressed.body, spoken, ())
        dressed.text = self._filled(found.text, spoken, ())
        for name, words in lines.items():
            setattr(dressed, name, self._line(words, spoken))
        return dressed

    def _line(self, words: str, language: str) -> str:
        """A subject with its snippets' words, in one line."""
        if not named(words):
            return words
        filled = self._filled(words, language, ())
        if tag := _TAG.search(LIQUID.sub("", filled)):
            raise assembly.BadSource(
                _("A snippet in a subject, preheader, sender name or address holds words only, and no %(tag)s.")
                % {"tag": tag[0]}
            )
        return " ".join(filled.split())

    def _layout_of(self, template: Template) -> Stationery | None:
        if template.layout_id is None:
            return template.layout  # one that is not saved yet, or none
        return next(row for row in self._rows.values() if row.pk == template.layout_id)

    def _in_language(self, slug: str, language: str) -> Stationery | None:
        for step in languages.chain(language):
            if row := self._rows.get(f"{slug}-{step}"):
                return row
        return self._rows.get(slug)

    def _filled(self, text: str, language: str, above: tuple[str, ...]) -> str:
        if len(above) > DEEPEST:
            raise assembly.BadSource(_("Snippets name each other without end: %(loop)s.") % {"loop": " → ".join(above)})
        if len(text) > assembly.LARGEST:
            raise assembly.BadSource(
                _("With its snippets the mail has more than %(n)d characters.") % {"n": assembly.LARGEST}
            )
        count = 0

        def one(piece: re.Match[str]) -> str:
            nonlocal count
            found = _RENDER.fullmatch(piece[0])
            if not found:
                return piece[0]
            slug = found[1] or found[2]
            row = self._in_language(slug, language)
            if row is None or row.kind != Stationery.Kind.SNIPPET:
                raise assembly.BadSource(_("There is no snippet “%(slug)s”.") % {"slug": slug})
            count += 1
            if count > MOST:
                raise assembly.BadSource(_("More than %(n)d snippets stand in one text.") % {"n": MOST})
            return self._filled(row.body, language, (*above, slug))

        return LIQUID.sub(one, text)


def framed(layout: Stationery, body: str) -> str:
    """The body in its frame: its head joins the layout's, what is inside its own frame stands at `{% content %}`. Raises BadSource."""
    if places(layout.body) != 1:
        raise assembly.BadSource(
            _("The layout “%(name)s” has to say once where the body stands: {%% content %%}.") % {"name": layout.name}
        )
    head = ""
    if layout.format == Template.Format.MJML:
        if found := _MJ_BODY.search(body):
            head = "".join(_MJ_HEAD.findall(body))
            body = found[1]
        frame = assembly.into_head(layout.body, head, last=True) if head else layout.body
    else:
        if found := _HTML_BODY.search(body):
            head, body = "".join(_STYLES.findall(body[: found.start()])), found[1]
        frame, body = layout.body, head + body
    return LIQUID.sub(lambda piece: body if _CONTENT.fullmatch(piece[0]) else piece[0], frame)
