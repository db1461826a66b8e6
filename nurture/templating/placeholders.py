"""What a placeholder may name, and its values for one person; what is unknown is an empty text, so that `default` applies."""

from __future__ import annotations

from typing import Any

from leads.models import Company, Contact, Owner, Workspace

UNSUBSCRIBE = "unsubscribe_url"
PREFERENCES = "preferences_url"
CONFIRM = "confirm_url"  # only in mails that ask somebody to confirm

# name -> kinds of activities: the last of them is what the placeholder tells
CONTENT = {
    "page": ("page_view",),
    "download": ("download",),
    "webinar": ("webinar_registered", "webinar_attended"),
    "video": ("video_watched",),
    "form": ("form_submit",),
}
BEYOND = frozenset({"score", "program", "content"})  # in mails only; readers.py reads them where a template asks
SCORE_PARTS = ("total", "fit", "behaviour", "bant", "grade")

# Contact and company fields that a placeholder may name, as the rule language calls them.
CONTACT_FIELDS = (
    "external_id",
    "email",
    "first_name",
    "last_name",
    "title",
    "department",
    "seniority",
    "phone",
    "country",
    "region",
    "city",
    "postal_code",
    "language",
    "source",
    "stage",
)
COMPANY_FIELDS = ("name", "domain", "industry", "employees", "founded", "country", "region", "city")
ROOTS: dict[str, frozenset[str]] = {
    "contact": frozenset({*CONTACT_FIELDS, "full_name", "tags", "custom"}),
    "company": frozenset({*COMPANY_FIELDS, "tags", "custom"}),
    "owner": frozenset({"name", "first_name", "email", "team"}),
    "workspace": frozenset({"name", "postal_address", "sender_name"}),
    "program": frozenset({"name", "entered_on"}),
    "content": frozenset(CONTENT),
    "score": frozenset(),
    UNSUBSCRIBE: frozenset(),
    PREFERENCES: frozenset(),
    CONFIRM: frozenset(),
    "purposes": frozenset(),
}


def context_for(
    contact: Contact | None, *, workspace: Workspace, unsubscribe_url: str, address: str = "", preferences_url: str = ""
) -> dict[str, Any]:
    """Every value a placeholder may name; what is unknown is an empty text, so that `default` applies.

    No statement if company and owner are loaded.
    """
    contact = contact or Contact(email=address)
    company: Company | None = contact.company
    owner: Owner | None = contact.owner
    return {
        "contact": {
            **{name: _plain(getattr(contact, name)) for name in CONTACT_FIELDS},
            "full_name": contact.full_name,
            "tags": list(contact.tags),
            "custom": contact.custom,
        },
        "company": {
            **{name: _plain(getattr(company, name, "")) for name in COMPANY_FIELDS},
            "tags": list(company.tags) if company else [],
            "custom": company.custom if company else {},
        },
        "owner": {
            "name": owner.name if owner else "",
            "first_name": owner.name.split(" ")[0] if owner else "",
            "email": owner.email if owner else "",
            "team": owner.team if owner else "",
        },
        "workspace": {
            "name": workspace.name,
            "postal_address": workspace.postal_address,
            "sender_name": workspace.sender_name or workspace.name,
        },
        UNSUBSCRIBE: unsubscribe_url,
        PREFERENCES: preferences_url,
    }


def _plain(value: Any) -> Any:
    return "" if value is None else value
