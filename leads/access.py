"""Who may do what: one table, asked by every view. Groups carry the roles; a superuser is an admin."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

MARKETER = "Marketer"
SALES = "Sales"
ADMIN = "Admin"
ROLES = (MARKETER, SALES, ADMIN)

# The written table (docs/people-and-rights.md shows it; a test holds the two together).
MAY: dict[str, frozenset[str]] = {
    "see": frozenset(ROLES),  # every page of facts, segments, scores, programs
    "edit_contacts": frozenset(ROLES),  # fields, tags, stage, owner of a contact, company or deal
    "import": frozenset({MARKETER, ADMIN}),
    "export": frozenset({MARKETER, ADMIN}),
    "edit_rules": frozenset({MARKETER, ADMIN}),  # segments, personas, score drafts, program drafts, templates
    "adjust_points": frozenset({MARKETER, ADMIN}),  # give or take points of one contact by hand
    "publish": frozenset({MARKETER, ADMIN}),  # score versions, programs: whatever reaches people
    "answer": frozenset({SALES, ADMIN}),  # the MQL queue: accept, reject, recycle
    "answer_requests": frozenset({ADMIN}),  # data subject requests: a copy of everything about a person, erasing them
    "configure": frozenset({ADMIN}),  # settings, custom fields, users, the Django admin
}

type_of_user = User | AnonymousUser

P = ParamSpec("P")


def roles_of(user: type_of_user) -> frozenset[str]:
    """Role names of a user; one statement, kept on the user for the rest of the request."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    known: frozenset[str] | None = getattr(user, "_ripen_roles", None)
    if known is None:
        known = frozenset(user.groups.values_list("name", flat=True)) & frozenset(ROLES)
        if user.is_superuser:
            known |= {ADMIN}
        user._ripen_roles = known  # type: ignore[attr-defined]
    return known


def can(user: type_of_user, what: str) -> bool:
    """Whether one of the user's roles may do it; KeyError for a right that is not in the table."""
    return bool(MAY[what] & roles_of(user))


def demand(user: type_of_user, what: str) -> None:
    """Raises PermissionDenied unless the user may."""
    if not can(user, what):
        raise PermissionDenied


def require(
    what: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponseBase]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]
]:
    """View decorator: 403 unless the signed-in user may."""
    MAY[what]  # a misspelt right fails at import, not at a click

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            demand(request.user, what)
            return view(request, *args, **kwargs)

        update_wrapper(guarded, view)
        return guarded

    return decorate


def template_context(request: HttpRequest) -> dict[str, Any]:
    """`may.edit_rules` and the like, for templates."""
    user = getattr(request, "user", AnonymousUser())
    return {"may": SimpleLazyObject(lambda: {what: can(user, what) for what in MAY})}
