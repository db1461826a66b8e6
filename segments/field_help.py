"""A line about each field of the facts, for the builder, the docs and the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

HELP: dict[str, StrOrPromise] = {
    "contact.external_id": _("The key under which another system knows the contact."),
    "contact.email": _("The address in small letters."),
    "contact.first_name": _("As the contact or an import gave it."),
    "contact.last_name": _("As the contact or an import gave it."),
    "contact.title": _("The job title as written; there are many spellings, so “contains” fits better than “is”."),
    "contact.department": _("The department as written."),
    "contact.seniority": _("The level as written, such as manager or director."),
    "contact.phone": _("The number as written."),
    "contact.country": _("Code or name of the country."),
    "contact.region": _("State, canton or province as written."),
    "contact.city": _("The town as written."),
    "contact.postal_code": _("The code as text: leading zeros count."),
    "contact.timezone": _("The contact's own time zone, such as Europe/Berlin."),
    "contact.language": _("The contact's language, such as de or en-GB."),
    "contact.source": _("Where the contact came from first."),
    "contact.owner": _("By name or e-mail."),
    "contact.stage": _("The stage of the life cycle as of the moment asked for."),
    "contact.persona": _("The persona the contact counts as, as stored."),
    "contact.tags": _("Tags of the contact; capitals do not matter."),
    "contact.created_at": _("When the contact was first known."),
    "contact.updated_at": _("When a value of the contact last changed."),
    "contact.last_activity_at": _("The most recent activity of any kind."),
    "company.external_id": _("The key under which another system knows the company."),
    "company.name": _("The company's name as written."),
    "company.domain": _("The company's mail or web domain."),
    "company.industry": _("The industry as written."),
    "company.employees": _("How many people work there."),
    "company.revenue": _("Revenue of a year."),
    "company.founded": _("The year in which it was founded, as a number."),
    "company.country": _("Code or name of the country."),
    "company.region": _("State, canton or province as written."),
    "company.city": _("The town as written."),
    "company.tags": _("Tags of the company; capitals do not matter."),
    "activity.kind": _("The kind of activity, for conditions on “any”."),
    "activity.url": _("The address of the page, as recorded."),
    "activity.subject": _("The asset, e-mail, form or campaign."),
    "activity.source": _("Where the visit came from."),
    "activity.occurred_at": _("When it happened."),
    "deal.status": _("open, won or lost, as of the moment asked for."),
    "deal.amount": _("What the deal is worth."),
    "deal.margin": _("The share that remains, such as 0.4."),
    "deal.product": _("The product as written."),
    "deal.opened_on": _("The day on which the deal was opened."),
    "deal.closed_on": _("The day on which it was won or lost; unknown while it is open."),
    "deal.loss_reason": _("Why it was lost; unknown while it is open."),
}
