"""Words for why somebody joined or left a segment."""

from __future__ import annotations

from django.utils.translation import gettext as _


def why_in_words(why: str) -> str:
    """The stored reason as people say it: rule:3, by_hand, import, program:welcome."""
    kind, _colon, name = why.partition(":")
    words = {
        "rule": _("by the rule (version %(number)s)") % {"number": name},
        "by_hand": _("by hand"),
        "import": _("by an import"),
        "program": _("by the program “%(name)s”") % {"name": name},
    }
    return words.get(kind, why.replace("_", " "))
