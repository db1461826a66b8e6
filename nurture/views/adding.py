"""Adding people to a program by hand: which program, who would enter, who is refused and why."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from leads.access import require
from nurture import access, adding
from nurture.actions import NurtureRefused
from nurture.models import Program
from nurture.views.programs import actor


@require("publish")
@require_http_methods(["GET", "POST"])
def people_add(request: HttpRequest) -> HttpResponse:
    """The contacts chosen in the list; after the program is chosen, too, who of them would enter."""
    key, slug = request.GET.get("chosen", ""), request.POST.get("program") or request.GET.get("program", "")
    contact_ids, now = adding.chosen(key), timezone.now()
    if not contact_ids:
        messages.error(request, _("Choose the people in the list first; the last choice is gone."))
        return redirect("leads:contact-list")
    program = access.program_or_404(slug) if slug else None
    found, refusal = None, ""
    if program is not None:
        try:
            if request.method == "POST":
                entered = adding.add(program, contact_ids, actor=actor(request), now=now)
                words = ngettext("%(n)d person entered “%(name)s”.", "%(n)d people entered “%(name)s”.", entered)
                messages.success(request, words % {"n": entered, "name": program.name})
                return redirect("nurture:program-detail", program.slug)
            found = adding.preview(program, contact_ids, now)
        except NurtureRefused as error:
            refusal = str(error)
    context = {
        "key": key,
        "chosen": len(contact_ids),
        "program": program,
        "preview": found,
        "refusal": refusal,
        "programs": list(Program.objects.filter(state=Program.State.LIVE).order_by("name")),
    }
    return render(request, "nurture/people_add.html", context)
