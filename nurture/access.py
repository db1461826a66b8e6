"""The only way from a person, or from a public link, to an object of this room."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Prefetch, prefetch_related_objects
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from leads.models import Contact
from nurture.models import Broadcast, Image, Program, ProgramVersion, Sending, Stationery, Task, Template

PUBLIC_TRIES = 30  # links that nobody made, for each address and minute
MOST_PUBLIC = 3_000  # pages behind links that we made; a whole company, or a mail provider, may sit behind one address
MOST_OF_ONE_LINK = 60  # … of one of them
MINUTE_SECONDS = 60


def program_or_404(slug: str) -> Program:
    """With the queue in front of it, where there is one. One statement."""
    return get_object_or_404(Program.objects.select_related("entry_queue"), slug=slug)


def version_or_404(program: Program, number: str | None) -> ProgramVersion:
    """The version asked for; else the live one, the draft, the newest; the program then holds all of them. One statement."""
    newest_first = ProgramVersion.objects.select_related("trigger_segment").order_by("-number")
    prefetch_related_objects([program], Prefetch("versions", newest_first))
    versions = list(program.versions.all())
    if number is not None:
        for version in versions:
            if str(version.number) == number:
                return version
        raise Http404
    for state in (ProgramVersion.State.LIVE, ProgramVersion.State.DRAFT, ProgramVersion.State.PAST):
        for version in versions:
            if version.state == state:
                return version
    raise Http404


def draft_or_404(program: Program) -> ProgramVersion:
    return get_object_or_404(
        program.versions.select_related("trigger_segment", "program"), state=ProgramVersion.State.DRAFT
    )


def template_or_404(slug: str) -> Template:
    return get_object_or_404(Template, slug=slug)


def stationery_or_404(slug: str) -> Stationery:
    return get_object_or_404(Stationery, slug=slug)


def block_or_404(template: Template, key: str) -> dict[str, Any]:
    """A block shown by condition."""
    for block in template.blocks:
        if block["key"] == key:
            return dict(block)
    raise Http404


def broadcast_or_404(slug: str) -> Broadcast:
    """One that is being deleted is gone."""
    return get_object_or_404(Broadcast.objects.exclude(state=Broadcast.State.DELETING), slug=slug)


def image_or_404(pk: int) -> Image:
    return get_object_or_404(Image.objects.select_related("uploaded_by"), pk=pk)


def image_by_token_or_404(token: str, kind: str) -> Image:
    """By its public address: whoever knows it may see it."""
    return get_object_or_404(Image, token=token, kind=kind)


def sending_or_404(pk: int) -> Sending:
    return get_object_or_404(
        Sending.objects.select_related("contact", "template", "enrolment__program", "enrolment__version", "broadcast"),
        pk=pk,
    )


def task_or_404(pk: int) -> Task:
    return get_object_or_404(Task, pk=pk)


def contact_or_404(pk: int) -> Contact:
    return get_object_or_404(Contact.objects.select_related("company"), pk=pk)


def contact_named(text: str) -> Contact | None:
    """By e-mail, external id or number. One statement."""
    words = text.strip()
    if not words:
        return None
    found = Contact.objects.select_related("company", "owner")
    if words.isdigit() and (by_number := found.filter(pk=int(words)).first()):
        return by_number
    return found.filter(email__iexact=words).first() or found.filter(external_id=words).first()


def asks_too_often(request: HttpRequest, what: str, most: int) -> bool:
    """Whether this address asked for something more than so many times within the minute. Two round trips to the cache."""
    return is_over(f"{what}:{client_address(request)}", most)


def is_over(what: str, most: int) -> bool:
    """Counts one more of it within the minute: whether that is more than allowed. Two round trips to the cache."""
    key = f"nurture:{what}"
    cache.add(key, 0, timeout=MINUTE_SECONDS)
    try:
        return int(cache.incr(key)) > most
    except ValueError:  # it expired between the two
        return False


def client_address(request: HttpRequest) -> str:
    """Who asks: the connection's other end, or, behind a proxy of ours, whom that one names last."""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() if settings.BEHIND_PROXY else ""
    return named[:64] or str(request.META.get("REMOTE_ADDR", ""))
