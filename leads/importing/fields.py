"""What a file of each kind may fill: fields with their types, what is required, and the names other systems give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from leads import values
from leads.models import CustomField, ImportJob
from leads.values import Convert, Reading

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Kind = ImportJob.Kind


@dataclass(frozen=True)
class Field:
    """One target of a column; `type` is a word for people and for the builder of mappings. `words`: all that a cell may say."""

    key: str
    label: StrOrPromise
    type: str
    convert: Callable[[Reading], Convert]
    is_clearable: bool = True
    words: tuple[str, ...] = ()


def _text(key: str, label: StrOrPromise, limit: int, is_clearable: bool = True) -> Field:
    return Field(key, label, "text", lambda _reading: values.text(limit), is_clearable)


def _plain(key: str, label: StrOrPromise, type: str, convert: Convert, is_clearable: bool = True) -> Field:
    return Field(key, label, type, lambda _reading: convert, is_clearable)


_one_contact = values.text(values.LONGEST_ADDRESS)

_CONTACTS = (
    _text("external_id", _("External id"), 200),
    _plain("email", _("E-mail"), "email", values.email),
    _text("first_name", _("First name"), 200),
    _text("last_name", _("Last name"), 200),
    _text("title", _("Job title"), 300),
    _text("department", _("Department"), 200),
    _text("seniority", _("Seniority"), 100),
    _text("phone", _("Phone"), 60),
    _plain("country", _("Country"), "country", values.country),
    _text("region", _("Region"), 200),
    _text("city", _("City"), 200),
    _text("postal_code", _("Postal code"), 30),
    _text("timezone", _("Time zone"), 64),
    _text("language", _("Language"), 35),
    _text("source", _("Source"), 200),
    _text("owner", _("Owner"), 200),
    _text("company", _("Company (external id or name)"), 500),
    _plain("stage", _("Stage"), "stage", values.stage, is_clearable=False),
    _plain("tags", _("Tags (separated by ; or |)"), "tags", values.tags),
    Field("created_at", _("Created at"), "moment", values.moment, is_clearable=False),
)
_COMPANIES = (
    _text("external_id", _("External id"), 200, is_clearable=False),
    _text("name", _("Name"), 500, is_clearable=False),
    _text("domain", _("Domain"), 253),
    _text("industry", _("Industry"), 200),
    Field("employees", _("Employees"), "number", lambda reading: values.whole(reading, lowest=0, highest=10**15)),
    Field("revenue", _("Revenue"), "number", values.decimal),
    Field("founded", _("Founded (year)"), "number", lambda reading: values.whole(reading, lowest=1, highest=2100)),
    _plain("country", _("Country"), "country", values.country),
    _text("region", _("Region"), 200),
    _text("city", _("City"), 200),
    _plain("tags", _("Tags (separated by ; or |)"), "tags", values.tags),
)
_DEALS = (
    _text("external_id", _("External id"), 200, is_clearable=False),
    _text("company", _("Company (external id or name)"), 500),
    _plain("contacts", _("Contacts (separated by ; or |)"), "contacts", values.several(_one_contact)),
    _text("owner", _("Owner"), 200),
    Field(
        "status",
        _("Status (open, won, lost)"),
        "status",
        lambda _reading: values.status,
        is_clearable=False,
        words=("open", "won", "lost"),
    ),
    Field("amount", _("Amount"), "number", values.decimal),
    Field("margin", _("Margin"), "number", values.decimal),
    _text("product", _("Product"), 300),
    Field("opened_on", _("Opened on"), "date", values.day),
    Field("closed_on", _("Closed on"), "date", values.day),
    _text("loss_reason", _("Loss reason"), 500),
)
_ACTIVITIES = (
    _text("external_id", _("External id"), 200, is_clearable=False),
    _plain("contact", _("Contact (external id or e-mail)"), "contact", _one_contact, is_clearable=False),
    _plain("kind", _("Kind"), "kind", values.slug, is_clearable=False),
    Field("occurred_at", _("Occurred at"), "moment", values.moment, is_clearable=False),
    _text("url", _("URL"), values.LONGEST_TEXT),
    _text("subject", _("Subject"), values.LONGEST_TEXT),
    _text("source", _("Source"), 200),
    _plain("properties", _("Properties (JSON)"), "properties", values.json_object),
)
FIELDS: dict[str, dict[str, Field]] = {
    kind: {field.key: field for field in fields}
    for kind, fields in {
        Kind.CONTACTS: _CONTACTS,
        Kind.COMPANIES: _COMPANIES,
        Kind.DEALS: _DEALS,
        Kind.ACTIVITIES: _ACTIVITIES,
    }.items()
}
# Every row needs these, or one of each inner tuple.
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    Kind.CONTACTS: (("external_id", "email"),),
    Kind.COMPANIES: (("external_id", "name"),),
    Kind.DEALS: (("external_id",), ("status",)),
    Kind.ACTIVITIES: (("contact",), ("kind",), ("occurred_at",)),
}
# Activities carry `properties.<key>` where the others carry `custom.<key>`.
CUSTOM_OF: dict[str, str] = {
    Kind.CONTACTS: CustomField.Of.CONTACT,
    Kind.COMPANIES: CustomField.Of.COMPANY,
    Kind.DEALS: CustomField.Of.DEAL,
}

_PEOPLE = {
    "mail": "email",
    "e_mail": "email",
    "email_address": "email",
    "e_mail_address": "email",
    "work_email": "email",
    "business_email": "email",
    "id": "external_id",
    "lead_id": "external_id",
    "mql_id": "external_id",
    "contact_id": "external_id",
    "person_id": "external_id",
    "record_id": "external_id",
    "customer_id": "external_id",
    "crm_id": "external_id",
    "firstname": "first_name",
    "given_name": "first_name",
    "vorname": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "family_name": "last_name",
    "nachname": "last_name",
    "job_title": "title",
    "jobtitle": "title",
    "position": "title",
    "role": "title",
    "dept": "department",
    "phone_number": "phone",
    "telephone": "phone",
    "mobile": "phone",
    "state": "region",
    "province": "region",
    "town": "city",
    "zip": "postal_code",
    "zip_code": "postal_code",
    "postcode": "postal_code",
    "time_zone": "timezone",
    "locale": "language",
    "origin": "source",
    "lead_source": "source",
    "utm_source": "source",
    "channel": "source",
    "sales_agent": "owner",
    "sales_rep": "owner",
    "account_owner": "owner",
    "contact_owner": "owner",
    "account": "company",
    "account_name": "company",
    "company_name": "company",
    "organization": "company",
    "organisation": "company",
    "employer": "company",
    "company_id": "company",
    "lifecycle_stage": "stage",
    "labels": "tags",
    "created": "created_at",
    "create_date": "created_at",
    "date_created": "created_at",
    "first_contact_date": "created_at",
    "signed_up_at": "created_at",
}
SYNONYMS: dict[str, dict[str, str]] = {
    Kind.CONTACTS: _PEOPLE,
    Kind.COMPANIES: {
        "id": "external_id",
        "company_id": "external_id",
        "account_id": "external_id",
        "record_id": "external_id",
        "account": "name",
        "account_name": "name",
        "company": "name",
        "company_name": "name",
        "organization": "name",
        "website": "domain",
        "web_site": "domain",
        "company_domain": "domain",
        "sector": "industry",
        "branch": "industry",
        "number_of_employees": "employees",
        "employee_count": "employees",
        "headcount": "employees",
        "size": "employees",
        "annual_revenue": "revenue",
        "turnover": "revenue",
        "year_established": "founded",
        "founded_year": "founded",
        "year_founded": "founded",
        "office_location": "country",
        "state": "region",
        "town": "city",
        "labels": "tags",
    },
    Kind.DEALS: {
        "id": "external_id",
        "deal_id": "external_id",
        "opportunity_id": "external_id",
        "record_id": "external_id",
        "account": "company",
        "account_name": "company",
        "company_name": "company",
        "organization": "company",
        "contact": "contacts",
        "contact_id": "contacts",
        "mql_id": "contacts",
        "email": "contacts",
        "sales_agent": "owner",
        "sales_rep": "owner",
        "deal_owner": "owner",
        "sr_id": "owner",
        "deal_stage": "status",
        "stage": "status",
        "state": "status",
        "value": "amount",
        "close_value": "amount",
        "deal_value": "amount",
        "price": "amount",
        "product_name": "product",
        "engage_date": "opened_on",
        "open_date": "opened_on",
        "created_at": "opened_on",
        "create_date": "opened_on",
        "close_date": "closed_on",
        "won_date": "closed_on",
        "closed_at": "closed_on",
        "lost_reason": "loss_reason",
    },
    Kind.ACTIVITIES: {
        "id": "external_id",
        "event_id": "external_id",
        "activity_id": "external_id",
        "contact_id": "contact",
        "email": "contact",
        "mql_id": "contact",
        "event": "kind",
        "event_type": "kind",
        "type": "kind",
        "activity": "kind",
        "activity_type": "kind",
        "timestamp": "occurred_at",
        "date": "occurred_at",
        "time": "occurred_at",
        "created_at": "occurred_at",
        "event_date": "occurred_at",
        "page": "url",
        "page_url": "url",
        "title": "subject",
        "utm_source": "source",
        "channel": "source",
    },
}
# What other systems call open, won and lost.
STATUS_WORDS = {
    "won": "won",
    "closed won": "won",
    "closedwon": "won",
    "win": "won",
    "gewonnen": "won",
    "lost": "lost",
    "closed lost": "lost",
    "closedlost": "lost",
    "verloren": "lost",
    "open": "open",
    "new": "open",
    "in progress": "open",
    "engaging": "open",
    "prospecting": "open",
    "qualification": "open",
    "qualified": "open",
    "proposal": "open",
    "negotiation": "open",
    "offen": "open",
}
