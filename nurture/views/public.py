"""Public links in mails. A GET never changes anything: scanners follow every link."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from leads import consent, data_requests, visitors
from leads.addresses import masked
from leads.models import DataRequest, MailPreference, Purpose
from leads.workspace import workspace
from nurture import access, actions
from nurture.mailing.sending import preferences_url
from nurture.models import Sending
from nurture.templating import languages
from nurture.templating.queries_writing import languages_in_use

PAUSE = timedelta(days=30)
P = ParamSpec("P")


def public(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """For everybody who has the link: no sign-in, no cookie (mail providers post without one, RFC 8058; the link is the secret),
    not kept anywhere. Looking ends at so many requests a minute; what somebody with a true link says is never turned away by others' number."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        is_flood = request.method != "POST" and access.asks_too_often(request, "public", access.MOST_PUBLIC)
        response = _too_often() if is_flood else view(request, *args, **kwargs)
        response["X-Robots-Tag"] = "noindex"
        response["Referrer-Policy"] = "no-referrer"
        return response

    methods = require_http_methods(["GET", "HEAD", "POST"])
    return login_not_required(csrf_exempt(never_cache(methods(guarded))))


def _too_often() -> HttpResponse:
    return HttpResponse("Too many requests; try again in a minute.\n", status=429, content_type="text/plain")


def _is_overused(token: str) -> bool:
    """Whether one link is asked for more often than a person presses: each answer may be a row of the ledger."""
    return access.is_over(f"link:{sha256(token.encode()).hexdigest()}", access.MOST_OF_ONE_LINK)


def _proof(request: HttpRequest) -> dict[str, Any]:
    """A colleague who is signed in and opens somebody's link stands in it: it may not have been the person."""
    agent = request.headers.get("User-Agent", "")
    found = consent.Proof(ip=access.client_address(request), agent=agent).as_json()
    return found | ({"signed_in": request.user.get_username()} if request.user.is_authenticated else {})


@public
def unsubscribe(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """A button on GET, the withdrawal on POST. An unknown token looks the same, so that nothing can be learnt by trying."""
    is_done, from_everything = request.method == "POST", "everything" in request.POST
    if is_done:
        one_click = request.POST.get("List-Unsubscribe") == "One-Click"
        source = "one_click" if one_click else "unsubscribe_link"
        is_known = actions.unsubscribe(
            token, source=source, now=timezone.now(), proof=_proof(request), from_everything=from_everything
        )
        if not is_known and access.asks_too_often(request, "nowhere", access.PUBLIC_TRIES):
            return _too_often()
        if one_click:
            return HttpResponse("unsubscribed\n", content_type="text/plain")
    context = {
        "is_done": is_done,
        "from_everything": from_everything,
        "preferences": "preferences/",  # relative, so that the page of an unknown token is the same
        "workspace": workspace(),
    }
    return render(request, "nurture/unsubscribe.html", context)


@public
def preferences_of_mail(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """From the mail that somebody holds to their preference page."""
    sending = (
        Sending.objects.filter(token=token, is_test=False).exclude(address="").only("address", "contact_id").first()
    )
    if sending is None:
        return _stale(request)
    return redirect(preferences_url(sending).removeprefix(settings.PUBLIC_URL))


def _stale(request: HttpRequest) -> HttpResponse:
    """The one answer for links that lead nowhere; trying many ends soon."""
    if access.asks_too_often(request, "nowhere", access.PUBLIC_TRIES):
        return _too_often()
    return render(request, "nurture/link_stale.html", {"workspace": workspace()}, status=404)


@public
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody gets from us, how often, in which language. Each button is a POST; eight statements to show."""
    holder = consent.holder_of(token)
    if holder is None:
        return _stale(request)
    if _is_overused(token):
        return _too_often()
    now = timezone.now()
    said = _keep(request, holder) if request.method == "POST" else ""
    standing = holder.standing
    choices = [one for one in standing if not one.purpose.is_all]
    wish = consent.wish(holder.digest)
    context = {
        "workspace": workspace(),
        "holder": holder,
        "address": masked(holder.address) if holder.address else "",
        "choices": choices,
        "may_switch": _with_wordings([one for one in choices if one.purpose.basis != Purpose.Basis.CONTRACT]),
        "always": [one for one in choices if one.purpose.basis == Purpose.Basis.CONTRACT],
        "wish": wish,
        "is_paused": bool(wish.paused_until and wish.paused_until > now),
        "paces": MailPreference.Pace.choices,
        **_languages(wish.language or (holder.contact.language if holder.contact else "")),
        "all_off": not any(one.is_on for one in choices if one.purpose.basis != Purpose.Basis.CONTRACT),
        "asked_for": data_requests.open_kinds(holder.contact or holder.heir, holder.digest),
        "said": said,
    }
    return render(request, "nurture/preferences.html", context)


def _with_wordings(choices: list[consent.Standing]) -> list[tuple[consent.Standing, str]]:
    """Beside each what a yes agrees to, since the ledger will say that it was shown. One statement."""
    texts = {row.purpose_id: row.text for row in consent.wordings_of([one.purpose.slug for one in choices])}
    return [(one, "" if one.state == "given" else texts.get(one.purpose.slug, "")) for one in choices]


def _languages(language: str) -> dict[str, Any]:
    """Those of the site and of the mails that we write, and the reader's own. One statement."""
    own = languages.tag_of(language)
    offered = {*dict(settings.LANGUAGES), *languages_in_use(), *([own] if own in dict(languages.choices()) else [])}
    return {"languages": sorted((tag, languages.name_of(tag)) for tag in offered), "reads": own}


def _keep(request: HttpRequest, holder: consent.Holder) -> str:
    """What the pressed button means: none, pause, resume, a request about their data, or all the fields. Which of them it was."""
    now, proof, verb = timezone.now(), _proof(request), request.POST.get("verb", "save")
    if verb == "none" or request.POST.get("List-Unsubscribe") == "One-Click":
        actions.leave_everything(holder, source="preference_page", now=now, proof=proof)
        return "none"
    if verb in DataRequest.Kind.values:
        data_requests.ask(
            verb,
            contact=holder.contact or holder.heir,
            digest=holder.digest,
            source="preference_page",
            proof=proof | ({"former_address": holder.digest} if holder.heir else {}),
            actor=None,
            now=now,
        )
        return verb
    if verb in ("pause", "resume"):
        consent.set_wish(holder.digest, now=now, paused_until=now + PAUSE if verb == "pause" else None)
        return verb
    if holder.address:
        ticked = set(request.POST.getlist("purpose"))
        shown = set(request.POST.getlist("shown"))
        consent.choose(
            holder,
            wanted={slug: slug in ticked for slug in shown},
            source="preference_page",
            now=now,
            proof=proof,
        )
    wanted: dict[str, Any] = {}
    if (pace := request.POST.get("pace")) in MailPreference.Pace.values:
        wanted["pace"] = pace
    if (language := request.POST.get("language")) in dict(languages.choices()):
        wanted["language"] = language
    if (tracking := request.POST.get("tracking")) in MailPreference.Tracking.values:
        wanted["tracking"] = tracking
    if wanted:
        consent.set_wish(holder.digest, now=now, **wanted)
    return "saved"


@public
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The second half of a double opt-in: a button on GET, consent on POST, once."""
    now = timezone.now()
    asked = consent.request_of(token, now=now)
    if asked is None:
        return _stale(request)
    if _is_overused(token):
        return _too_often()
    is_done = request.method == "POST"
    if is_done:
        visitors.confirm(asked, now=now, proof=_proof(request))
    context = {
        "is_done": is_done,
        "purposes": Purpose.objects.filter(slug__in=asked.purposes, archived_at=None),
        "wordings": consent.wordings_of(asked.purposes),
        "address": masked(asked.address),
        "preferences": reverse("nurture:preferences", args=[consent.preference_token(asked.address, asked.contact_id)]),
        "workspace": workspace(),
    }
    return render(request, "nurture/confirm.html", context)
