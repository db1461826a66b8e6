"""Pages of facts; here stands what all of them ask of a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict

from leads.models import Stage


def is_fragment(request: HttpRequest) -> bool:
    """Whether HTMX asks for a part of a page."""
    htmx: Any = getattr(request, "htmx", False)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def posted(request: HttpRequest) -> QueryDict | None:
    """What was posted, be it nothing; None for another method, so that a form is not bound."""
    return request.POST if request.method == "POST" else None


def stage_labels() -> dict[str, str]:
    return dict(Stage.objects.values_list("slug", "label"))


def query_link(**parameters: str) -> str:
    return f"?{urlencode({key: value for key, value in parameters.items() if value})}"
