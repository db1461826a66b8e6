"""The last publication as the program's page shows it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from nurture.kinds import Names
from nurture.models import Program, ProgramVersion
from nurture.publication import moving, publishing

NEWS = timedelta(days=7)


def of_program(program: Program, names: Names, now: datetime) -> dict[str, Any]:
    """The last publication as the program's page shows it. Two statements, a third while it can be taken back.

    Why it cannot be is told for as long as somebody may look for the button.
    """
    publication = program.publications.select_related("version__program", "past", "asked_by").order_by("-id").first()
    is_shown = publication is not None and (
        publication.is_under_way
        or (publication.version is not None and publication.version.state == ProgramVersion.State.LIVE)
    )
    if publication is None or not is_shown:
        return {"publication": None}
    refusal = publishing.why_not(publication, names)
    is_news = publication.switched_at is None or publication.switched_at > now - NEWS
    return {
        "publication": publication,
        "stays_because": refusal if is_news else "",
        "moved": moved_words(publication.moved),
        "can_take_back": not refusal,
    }


def moved_words(moved: dict[str, int]) -> list[tuple[str, int]]:
    """What happened to how many, in the order of the sheet's choices."""
    words = {
        moving.STAY: _("went over, due as before"),
        moving.RETIME: _("went over, the wait counted anew"),
        "to": _("went over to another step"),
        moving.RELEASE: _("left the program"),
        moving.FINISH: _("finish on the version they are in"),
    }
    return [(words[choice], moved[choice]) for choice in words if moved.get(choice)]


def chosen_words(line: moving.Row) -> str:
    """What the sheet says about one step."""
    words = {
        moving.STAY: _("go over, due as before"),
        moving.RETIME: _("go over, the wait counted anew"),
        moving.RELEASE: _("leave the program"),
        moving.FINISH: _("finish on the version they are in"),
    }
    return words.get(line["choice"]) or _("go over to “%(step)s”") % {"step": line.get("onto", "")}
