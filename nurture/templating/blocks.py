"""Blocks of a template that some readers see: a name and a condition of the rule language each, asked when the mail is written.

In the template: `{% block managers %} … {% else %} … {% endblock %}`. Stored: `[{"key": "managers", "conditions": {…}}, …]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from nurture.models import Template
from segments import conditions
from segments.graph import Definition
from segments.renaming import Rename
from segments.rules import reads_of

MOST = 20
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,39}")

Block = Mapping[str, Any]


def check(document: Any) -> list[dict[str, Any]]:
    """The blocks as they are stored. ValueError with words for people."""
    if not isinstance(document, list) or len(document) > MOST:
        raise ValueError(_("Blocks are a list of %(most)d at most.") % {"most": MOST})
    found: dict[str, dict[str, Any]] = {}
    for block in document:
        if not isinstance(block, Mapping) or set(block) != {"key", "conditions"} or not isinstance(block["key"], str):
            raise ValueError(_("Each block has a key and conditions."))
        key = block["key"]
        if not _KEY.fullmatch(key):
            raise ValueError(
                _("“%(key)s” is no name of a block: small letters, digits, - and _, a letter first.") % {"key": key}
            )
        if key in found:
            raise ValueError(_("There are two blocks “%(key)s”.") % {"key": key})
        if words := problem(block):
            raise ValueError(_("The block “%(key)s”: %(problem)s") % {"key": key, "problem": words})
        found[key] = {"key": key, "conditions": block["conditions"]}
    return list(found.values())


def problem(block: Block) -> str:
    """Why its condition cannot work, or an empty text."""
    try:
        conditions.check(block["conditions"])
    except conditions.BadConditions as error:
        return error.problems[0].message
    return ""


def sentence(block: Block) -> str:
    try:
        return conditions.sentence(conditions.check(block["conditions"]))
    except conditions.BadConditions as error:
        return error.problems[0].message


def shown(blocks: Iterable[Block], contact_ids: Sequence[int], *, at: datetime) -> dict[str, frozenset[int]]:
    """key -> who sees the block. One statement for each. Raises conditions.BadConditions."""
    moment = conditions.moment(at)
    return {
        block["key"]: frozenset(
            conditions.match_ids(conditions.check(block["conditions"]), moment, contacts=contact_ids, stored=True)
        )
        for block in blocks
    }


# --- Rules that they are ------------------------------------------------------------------------------------------------


def definition(template: Template) -> Definition:
    """A template that asks by a block: what it names cannot go."""
    reads = frozenset(read for block in template.blocks for read in reads_of(block["conditions"]))
    url = reverse("nurture:template-edit", args=[template.slug])
    return Definition(f"template:{template.slug}", template.name, _("e-mail"), url, reads)


def rewrite(rename: Rename) -> int:
    """Blocks that name the segment, under its new slug. One statement, and one for each template that changes."""
    count = 0
    for template in Template.objects.filter(blocks__icontains=rename.old).select_for_update(no_key=True):
        after = [block | {"conditions": rename.document(block["conditions"])} for block in template.blocks]
        if after != template.blocks:
            Template.objects.filter(pk=template.pk).update(blocks=after)
            count += 1
    return count
