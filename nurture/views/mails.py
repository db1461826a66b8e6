"""The outbox: every mail as its reader would see it, why it did not leave, and what a person decides about uncertain ones."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.workspace import workspace
from nurture import access, actions
from nurture.mailing import outbox
from nurture.mailing.carriers import configured
from nurture.mailing.sending import SERVER_DOWN, problem_of_setup, why_words
from nurture.mailing.smtp import Server
from nurture.models import MailResponse, ProviderEvent, Sending
from nurture.providers.accounts import STATES, Account
from nurture.templating import languages
from nurture.tracking.scanners import WHY
from nurture.views.programs import actor

MOST_HITS = 50  # of machines, shown for one mail
# What a mail brings along may show itself, and nothing else: no scripts, no forms, no frames, no origin of ours.
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: data:"


def mail_response(html: str) -> HttpResponse:
    """A mail's HTML under its own policy, for an iframe."""
    response = HttpResponse(html)
    # our own pictures, where the instance speaks plain HTTP
    own = f" {settings.PUBLIC_URL}" if settings.PUBLIC_URL.startswith("http://") else ""
    response["Content-Security-Policy"] = f"{MAIL_POLICY}{own}"
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"
    response._csp_exempt = True  # type: ignore[attr-defined]  # django-csp would replace the policy with the pages' own
    return response


@require("see")
@require_GET
def sending_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by keyset; five statements whatever the rows, six where a state is chosen."""
    choice = outbox.Choice.of(request.GET)
    rows, after = outbox.page(choice)
    server, problem = _carrier()
    context = {
        "rows": rows,
        "choice": choice,
        "tabs": [("", _("All"), choice.address(state="", why=""))]
        + [
            (state, _TABS.get(state, label), choice.address(state=state, why=""))
            for state, label in Sending.State.choices
        ],
        "reasons": outbox.reasons(choice),
        "any_reason": choice.address(why=""),
        "next": after,
        "next_page": choice.address(after=after),
        "server": server,
        "problem": problem,
        "uncertain": Sending.objects.filter(state=Sending.State.UNCERTAIN).count(),
    }
    return render(request, "nurture/sending_list.html", context)


_TABS = {Sending.State.HELD.value: gettext_lazy("held")}  # the others as they are called everywhere


def _carrier() -> tuple[Server | Account | None, str]:
    """Who takes our mail, and why nothing leaves."""
    try:
        server = configured()
    except ImproperlyConfigured as error:  # its words hold no secret
        return None, str(error)
    rest = cache.get(SERVER_DOWN)
    return server, problem_of_setup(server, workspace()) or (rest["words"] if rest and server else "")


@require("see")
@require_GET
def sending_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Five statements."""
    sending = access.sending_or_404(pk)
    machines = sending.hits.exclude(verdict__in=["", "person"]).order_by("at", "pk")[:MOST_HITS]
    context = {
        "sending": sending,
        "why": why_words(sending.why_not),
        "written_in": languages.name_of(sending.language),
        "width": request.GET.get("width", ""),
        "response": MailResponse.objects.filter(pk=sending.pk).first(),
        "clicked": sending.clicked_links.order_by("place"),
        "events": [
            (event, STATES.get(event.kind, event.kind))
            for event in ProviderEvent.objects.filter(token=sending.token).order_by("at", "pk")[:MOST_HITS]
        ],
        "hits": [(hit, WHY.get(hit.verdict, hit.verdict)) for hit in machines],
    }
    return render(request, "nurture/sending_detail.html", context)


@require("see")
@require_GET
@xframe_options_sameorigin
def sending_body(request: HttpRequest, pk: int) -> HttpResponse:
    sending = access.sending_or_404(pk)
    if not sending.html:
        raise Http404
    return mail_response(sending.html)


@require("publish")
@require_POST
def sending_decide(request: HttpRequest, pk: int) -> HttpResponse:
    """An uncertain mail: send it again, or believe that it arrived."""
    sending = access.sending_or_404(pk)
    try:
        if request.POST.get("decision") == "resend":
            actions.resend(sending, actor=actor(request), now=timezone.now())
            messages.success(request, _("Queued again, with the same Message-ID."))
        else:
            actions.mark_as_sent(sending, actor=actor(request), now=timezone.now())
            messages.success(request, _("Marked as sent."))
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    return redirect("nurture:sending-detail", sending.pk)
