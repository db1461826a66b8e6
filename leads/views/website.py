"""The page on which an admin says whether visits to the company's websites are noted, with the snippet to paste there."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from leads import visitors
from leads.access import require
from leads.forms.website import WebsiteForm
from leads.models import Purpose, Visitor
from leads.queries import estimated_rows
from leads.views import posted


@require("configure")
@require_http_methods(["GET", "HEAD", "POST"])
def website_edit(request: HttpRequest) -> HttpResponse:
    """Four statements to show; the number of visitors is the planner's estimate, since they may be many."""
    site = visitors.website()
    form = WebsiteForm(posted(request), instance=site)
    if request.method == "POST" and form.is_valid():
        visitors.set_website(values=form.values(), actor=cast("User", request.user), now=timezone.now())
        messages.success(request, _("Saved. Browsers that have the script ask for it anew within five minutes."))
        return redirect("leads:website-edit")
    context = {
        "form": form,
        "tab": "website",
        "is_on": site.is_on,
        "address": f"{settings.PUBLIC_URL}/w/ripen.js",
        "purpose": Purpose.objects.filter(archived_at=None)
        .exclude(pk=Purpose.ALL)
        .values_list("slug", flat=True)
        .first(),
        "visitors": estimated_rows("leads_visitor"),
        "last_at": Visitor.objects.aggregate(at=Max("last_at"))["at"],
    }
    return render(request, "leads/website_edit.html", context, status=422 if form.errors else 200)
