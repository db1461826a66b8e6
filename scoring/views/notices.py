"""The bell: what a user is told about leads, and how they wish to hear of them."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads import lists
from leads.access import require
from scoring import notices
from scoring.forms.queue import NoticeForm
from scoring.models import Notice, NoticeWish
from scoring.views.queue import NEWEST

SHOWN = 6
COUNT_UP_TO = 100


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _rows(user: User) -> QuerySet[Notice]:
    return Notice.objects.filter(user=user).select_related("hand_off__contact", "hand_off__model", "contact")


@require_GET
@require("see")
def notice_bell(request: HttpRequest) -> HttpResponse:
    """Unread count and the newest, asked for every few seconds by every page: two statements along the index of unread ones."""
    unread = _rows(_user(request)).filter(read_at=None).order_by("-at", "-id")
    number = Notice.objects.filter(user=_user(request), read_at=None)[:COUNT_UP_TO].count()
    return render(
        request,
        "scoring/_notice_bell.html",
        {"unread": number, "is_more": number == COUNT_UP_TO, "newest": unread[:SHOWN] if number else []},
    )


@require_http_methods(["GET", "POST"])
@require("see")
def notice_list(request: HttpRequest) -> HttpResponse:
    """Everything told, the newest first; a POST saves how one wishes to hear of leads."""
    user = _user(request)
    wish = NoticeWish.objects.filter(user=user).first() or NoticeWish(user=user)
    form = NoticeForm(request.POST or None, instance=wish)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved. It holds for what is told from now on."))
        return redirect("scoring:notice-list")
    page = lists.page(_rows(user), NEWEST, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    context = {"page": page, "form": form, "may_have_mail": bool(user.email)}
    return render(request, "scoring/notice_list.html", context, status=422 if form.errors else 200)


@require_POST
@require("see")
def notice_read(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One notice, leading to its lead or contact; or all of them."""
    if pk is None:
        notices.read(_user(request), now=timezone.now())
        return redirect("scoring:notice-list")
    row = get_object_or_404(_rows(_user(request)), pk=pk)
    if row.hand_off_id is None:
        notices.read(_user(request), now=timezone.now(), notice_id=row.pk)
        return redirect("leads:contact-detail", row.contact_id)
    notices.read(_user(request), now=timezone.now(), hand_off_id=row.hand_off_id)
    return redirect("scoring:hand-off-detail", row.hand_off_id)
