"""Shows moments in the workspace's time zone on every page."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from leads.workspace import zone


class WorkspaceMiddleware:
    """Activates the workspace's zone for signed-in people; public and health requests touch no table for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return self.get_response(request)
        with timezone.override(zone()):
            return self.get_response(request)
