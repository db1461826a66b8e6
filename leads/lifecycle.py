"""Life-cycle stages, which move is legal, and their words (BRIEF: eight stages and three detours)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

# slug, label, position, detour; the rows of leads_stage start with these.
STAGES = (
    ("visitor", _("Visitor"), 1, False),
    ("subscriber", _("Subscriber"), 2, False),
    ("inquiry", _("Inquiry"), 3, False),
    ("mql", _("MQL"), 4, False),
    ("accepted", _("Accepted"), 5, False),
    ("opportunity", _("Opportunity"), 6, False),
    ("customer", _("Customer"), 7, False),
    ("advocate", _("Advocate"), 8, False),
    ("recycled", _("Recycled"), 9, True),
    ("lost", _("Lost"), 10, True),
    ("disqualified", _("Disqualified"), 11, True),
)
POSITION = {slug: position for slug, _label, position, _detour in STAGES}
DETOURS = frozenset(slug for slug, _label, _position, is_detour in STAGES if is_detour)


def is_legal_for_rules(from_stage: str, to_stage: str) -> bool:
    """A rule or program moves forward only, into a detour, or from “recycled” back into the line; people may move anybody anywhere."""
    if from_stage == to_stage or from_stage == "disqualified":
        return False
    if to_stage in DETOURS or from_stage in DETOURS:
        return True
    return POSITION[to_stage] > POSITION[from_stage]
