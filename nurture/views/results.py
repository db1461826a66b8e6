"""What came of mails: sent, delivered, opened, clicked, left; the links that were pressed; the people behind each number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from leads.access import require
from leads.figures import at_hand
from nurture import access
from nurture.broadcasts import results as broadcast_results
from nurture.models import Program, Sending, Template
from nurture.tracking import links, queries
from nurture.views.mails import mail_response

PAGE = 50
MOST_LINKS = 50
HEADINGS = {
    "sent": gettext_lazy("Sent"),
    "delivered": gettext_lazy("Delivered"),
    "tracked": gettext_lazy("Whose opens and clicks are noted"),
    "opened": gettext_lazy("Opened"),
    "clicked": gettext_lazy("Clicked"),
    "unsubscribed": gettext_lazy("Unsubscribed"),
    "machines": gettext_lazy("Machines only"),
}


@dataclass(frozen=True)
class Row:
    """One template's line: numbers of people, and shares of those whose opens and clicks are noted."""

    template: Template
    people: dict[str, int]

    @property
    def open_rate(self) -> float | None:
        return self._share("opened")

    @property
    def click_rate(self) -> float | None:
        return self._share("clicked")

    def _share(self, which: str) -> float | None:
        noted = self.people["tracked"]
        return min(100.0, 100 * self.people[which] / noted) if noted else None


def _program(request: HttpRequest) -> Program | None:
    slug = request.GET.get("program", "")
    return access.program_or_404(slug) if slug else None


@require("see")
@require_GET
def result_list(request: HttpRequest) -> HttpResponse:
    """Templates whose mails left, of all programs or of one. Three statements whatever the rows; figures are kept for ten minutes."""
    program = _program(request)
    scope = queries.Scope(program_id=program.pk if program else None)
    found = at_hand(
        f"results:{program.pk if program else 'all'}", lambda: queries.people_by_template(scope), now=timezone.now()
    )
    templates = Template.objects.filter(pk__in=found.value).defer("body").order_by("name", "pk")
    context = {
        "program": program,
        "programs": Program.objects.filter(archived_at=None).order_by("name", "pk"),
        "rows": [Row(template, found.value[template.pk]) for template in templates],
        "as_of": found.at if found.is_kept else None,
    }
    return render(request, "nurture/result_list.html", context)


@require("see")
@require_GET
def result_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One template's mails: the numbers, the links, and the mail with the clicks drawn in. Four statements, of which two are kept for ten minutes."""
    template, program = access.template_or_404(slug), _program(request)
    scope = _scope(template, program)
    found = at_hand(
        f"results:{template.pk}:{program.pk if program else 'all'}",
        lambda: (queries.people_by_template(scope), queries.links_pressed(scope, limit=MOST_LINKS)),
        now=timezone.now(),
    )
    people, pressed = found.value
    numbers = people.get(template.pk, dict.fromkeys(queries.WHICH, 0))
    context = {
        "template": template,
        "program": program,
        "row": Row(template, numbers),
        "figures": [(which, heading, numbers[which]) for which, heading in HEADINGS.items() if which != "tracked"],
        "links": pressed,
        "most": max([one.people for one in pressed], default=0) or 1,
        "has_mail": bool(pressed) and _example(scope) is not None,
        "as_of": found.at if found.is_kept else None,
        "question": f"&program={program.slug}" if program else "",
    }
    return render(request, "nurture/result_detail.html", context)


def _scope(template: Template, program: Program | None) -> queries.Scope:
    return queries.Scope(template.pk, program.pk if program else None)


def _example(scope: queries.Scope) -> Sending | None:
    """The newest mail of a scope in which links were noted. One statement."""
    rows = Sending.objects.filter(template=scope.template_id, is_tracked=True, state=Sending.State.SENT).exclude(
        html=""
    )
    if scope.program_id is not None:
        rows = rows.filter(enrolment__program=scope.program_id)
    return rows.order_by("-id").first()


@require("see")
@require_GET
@xframe_options_sameorigin
def result_map(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest mail with the number of people at each link that somebody pressed."""
    scope = _scope(access.template_or_404(slug), _program(request))
    sending = _example(scope)
    if sending is None:
        raise Http404
    people = {one.url: one.people for one in queries.links_pressed(scope, limit=MOST_LINKS)}

    def words(address: str) -> str:
        number = people.get(links.without_values(address), 0)
        return f"{number:,}" if number else ""

    return mail_response(links.annotated(sending.html, words))


@require("see")
@require_GET
def result_people(request: HttpRequest) -> HttpResponse:
    """The people behind a number, with their newest mail of the scope; by keyset. Four statements whatever the rows."""
    which = request.GET.get("which", "sent")
    if not (slug := request.GET.get("template", "")):
        return redirect("nurture:result-list")
    template, program = access.template_or_404(slug), _program(request)
    if which not in queries.WHICH:
        raise Http404
    broadcast = access.broadcast_or_404(request.GET["broadcast"]) if request.GET.get("broadcast") else None
    after = request.GET.get("after", "")
    before = int(after) if after.isdigit() else None
    if broadcast is not None and program is None:
        found = broadcast_results.people_at_once(broadcast, now=timezone.now())
        people, as_of = found.value.get(template.pk, {}), found.at if found.is_kept else None
        ids = broadcast_results.mails_behind(
            broadcast, template.pk, which, people=people, before=before, limit=PAGE + 1
        )
    else:
        scope = replace(_scope(template, program), broadcast_id=broadcast.pk if broadcast else None)
        people, as_of = queries.people_by_template(scope).get(template.pk, {}), None
        ids = queries.last_mails(scope, which, before=before, limit=PAGE + 1)
    rows = Sending.objects.select_related("contact__company", "response").defer("html", "text", "headers")
    context: dict[str, Any] = {
        "template": template,
        "program": program,
        "broadcast": broadcast,
        "which": which,
        "heading": HEADINGS[which],
        "total": people.get(which, 0),
        "as_of": as_of,
        "rows": rows.filter(pk__in=ids[:PAGE]).order_by("-pk"),
        "next": ids[PAGE - 1] if len(ids) > PAGE else None,
        "tabs": list(HEADINGS.items()),
        "empty": _("Nobody"),
    }
    return render(request, "nurture/result_people.html", context)
