"""What a careful colleague would say of a template before it is used: what cannot work, and what is doubtful.

Kept with the template when it is saved, so that programs which send it tell of it without reading it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.models import Template
from nurture.templating import languages, link_rules, subject_rules, translations, unresolved
from nurture.templating.rendering import BadTemplate, compiled, unknown_placeholders
from nurture.templating.stationery import Cupboard

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

HEAVY = 100_000  # bytes; past that Gmail cuts a mail off
MOST = 5  # of a kind that are told; who mends those sees the next
EDITION = 3  # of these rules: what an older one found is read anew


@dataclass(frozen=True)
class Sort:
    """A sort of finding; one that `blocks` keeps programs from starting."""

    words: StrOrPromise
    blocks: bool = False


SORTS: dict[str, Sort] = {
    "unreadable": Sort(gettext_lazy("It cannot become a mail: %(why)s"), blocks=True),
    "no_subject": Sort(gettext_lazy("It has no subject."), blocks=True),
    "broken_link": Sort(gettext_lazy("The link “%(address)s” leads nowhere: write the whole address, with https://."), blocks=True),
    "nowhere_link": Sort(gettext_lazy("“%(address)s” leads to example.com: say where on your own site.")),
    "by_placeholder_link": Sort(
        gettext_lazy("The link “%(address)s” leads where a placeholder says; for whoever has none it is broken, and nobody's click is noted.")
    ),
    "http_link": Sort(gettext_lazy("The link “%(address)s” begins with http://; use https://.")),
    "unknown": Sort(gettext_lazy("No contact has “%(path)s”; it stays empty for everybody.")),
    "unresolved": Sort(gettext_lazy("“%(path)s” has no default: it stays empty where nobody knows it.")),
    "older": Sort(gettext_lazy("it is older than the text that it translates; look at it and save it again.")),
    "no_text": Sort(gettext_lazy("The text part is empty: whoever reads mail as text sees only its foot.")),
    "heavy": Sort(gettext_lazy("It weighs %(weight)s kB; past 100 kB some readers cut it off.")),
    "spammy": Sort(gettext_lazy("The subject looks like spam: %(rule)s.")),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing to mend or to think about."""

    sort: str
    about: Mapping[str, str] = field(default_factory=dict)
    language: str = ""  # of the translation; empty: the template's own words

    @property
    def blocks(self) -> bool:
        return SORTS[self.sort].blocks

    @property
    def words(self) -> str:
        about = dict(self.about)
        if self.sort == "spammy":
            about["rule"] = str(next(rule.words for rule in subject_rules.RULES if rule.key == about["rule"]))
        words = str(SORTS[self.sort].words) % about
        return f"{languages.name_of(self.language)}: {words}" if self.language else words


def read(template: Template, cupboard: Cupboard | None = None) -> list[Finding]:
    """In all its languages, what cannot work first. No statement unless it has a layout or snippets that are not at hand."""
    cupboard = cupboard or Cupboard()
    found = read_alone(template, cupboard)
    for row in template.translations:
        language = row["language"]
        found += [
            replace(one, language=language) for one in _read(translations.in_language(template, language), cupboard)
        ]
    found += [Finding("older", language=language) for language in translations.older(template)]
    return sorted(found, key=lambda finding: not finding.blocks)


def read_alone(template: Template, cupboard: Cupboard | None = None) -> list[Finding]:
    """Its own words only."""
    return sorted(_read(template, cupboard or Cupboard()), key=lambda finding: not finding.blocks)


def _read(template: Template, cupboard: Cupboard) -> Iterator[Finding]:
    if not template.subject.strip():
        yield Finding("no_subject")
    try:
        words = compiled(template, "", cupboard)
    except BadTemplate as error:
        yield Finding("unreadable", {"why": str(error)})
        return
    yield from _links(words.source if template.format == Template.Format.MJML else cupboard.dressed(template, "").body)
    for path in unknown_placeholders(words)[:MOST]:
        yield Finding("unknown", {"path": path})
    for path in unresolved.placeholders(words)[:MOST]:
        yield Finding("unresolved", {"path": path})
    if not words.words.strip():
        yield Finding("no_text")
    if (weight := len(words.source.encode())) > HEAVY:
        yield Finding("heavy", {"weight": str(weight // 1000)})
    for rule in subject_rules.broken(cupboard.dressed(template, "").subject):
        yield Finding("spammy", {"rule": rule.key})


def _links(html: str) -> Iterator[Finding]:
    told: dict[str, int] = {}
    for wrong, address in link_rules.findings(html):
        told[wrong] = told.get(wrong, 0) + 1
        if told[wrong] <= MOST:
            yield Finding(f"{wrong}_link", {"address": address[:100]})


# --- As it is kept ---------------------------------------------------------------------------------------------------------


def document(template: Template) -> dict[str, Any]:
    """The findings as a template keeps them."""
    return {"edition": EDITION, "found": [[one.sort, dict(one.about), one.language] for one in read(template)]}


def is_kept(template: Template) -> bool:
    return isinstance(template.findings, dict) and template.findings.get("edition") == EDITION


def kept(template: Template, cupboard: Cupboard | None = None) -> list[Finding]:
    """What was found when it was saved; read anew where nothing fitting is kept. No statement if its words are loaded."""
    if template.findings is None or not is_kept(template):
        return read(template, cupboard)
    return [Finding(*row) for row in template.findings["found"] if row[0] in SORTS]


def no_postal_address() -> str:
    return _(
        "The workspace has no postal address; the law of many countries wants one in every mail. Settings hold it."
    )
