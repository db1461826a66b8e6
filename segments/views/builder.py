"""What the builder of conditions asks while a rule is written: markup of nodes, counts, people, suggestions."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from segments.builder import people as found_people
from segments.builder import preview as previews
from segments.builder.catalogue import Catalogue
from segments.builder.changes import NoSuchChange, changed, first_leaf
from segments.builder.documents import read_rows
from segments.builder.rows import Rows
from segments.conditions.check import MOST_CHARACTERS
from segments.conditions.reading import NotJson

MOST_PATHS = 500  # 200 rows and the groups round them


@require_POST
@require("edit_rules")
def conditions_node(request: HttpRequest) -> HttpResponse:
    """One node drawn: as it is, after a change inside it, new from the picker (alone or in a group), or the whole canvas."""
    asked = request.POST
    text = asked.get("node", "")
    if len(text) > MOST_CHARACTERS:
        return _refused(_("This is too large to be a rule."))
    catalogue = Catalogue()
    rows = Rows(catalogue, offers_everybody=asked.get("offers") == "everybody")
    try:
        document = read_rows(text)
        if asked.get("root"):
            node: Any = rows.root(document, is_everybody=bool(asked.get("everybody")))
        else:
            if asked.get("group"):
                document = {asked["group"]: [first_leaf(asked.get("to", ""), catalogue)]}
            elif asked.get("change"):
                document = changed(document, asked["change"], asked.get("to", ""), catalogue)
            node = rows.node(document)
    except NotJson as error:
        return _refused(str(error))
    except (NoSuchChange, KeyError, TypeError, AttributeError, RecursionError):
        # The page and the server disagree about the row, say after an update of the product.
        return _refused(_("This row cannot be changed so. Reload the page; what is saved stays."))
    return render(request, "segments/_conditions_node.html", {"node": node})


@require_POST
@require("edit_rules")
def conditions_preview(request: HttpRequest) -> HttpResponse:
    """Counts and problems of every part on the page, and of the whole."""
    how = request.POST.get("how", "count")
    found = previews.preview(
        request.POST.get("text", ""),
        request.POST.getlist("path")[:MOST_PATHS],
        how=how if how in previews.HOW else "count",
        now=timezone.now(),
    )
    return render(request, "segments/_conditions_preview.html", {"preview": found})


@require_POST
@require("edit_rules")
def conditions_people(request: HttpRequest) -> HttpResponse:
    """A few who match, or who miss by one row, with a tick for each row."""
    which = "near" if request.POST.get("which") == "near" else "matches"
    found = found_people.people(request.POST.get("text", "")[: MOST_CHARACTERS * 2], which=which, now=timezone.now())
    return render(request, "segments/_conditions_people.html", {"found": found})


@require_GET
@require("edit_rules")
def conditions_values(request: HttpRequest) -> HttpResponse:
    """Suggestions for a value, from choices or from the data."""
    found = Catalogue().suggestions(request.GET.get("field", ""), request.GET.get("q", "")[:200])
    return render(request, "segments/_conditions_values.html", {"suggestions": found})


def _refused(why: str) -> HttpResponse:
    return HttpResponse(why, status=422, content_type="text/plain; charset=utf-8")
