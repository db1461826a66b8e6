"""Facts: what the company knows of people, companies, deals and behaviour."""

from leads.models.activities import Activity, ActivityKey, ActivityKind, Asset, Mark, Signal
from leads.models.consent import (
    ConsentEvent,
    ConsentRequest,
    ConsentWording,
    DataRequest,
    MailPreference,
    Purpose,
    Suppression,
    SuppressionPattern,
)
from leads.models.deals import Deal, DealContact
from leads.models.imports import ImportJob, ImportPerson, ImportReject
from leads.models.people import Company, Contact, ContactMerge, StageMove
from leads.models.settings import AuditEntry, CustomField, Owner, Stage, Workspace
from leads.models.visitors import Visitor, VisitorPage, Website

__all__ = [
    "Activity",
    "ActivityKey",
    "ActivityKind",
    "Asset",
    "AuditEntry",
    "Company",
    "ConsentEvent",
    "ConsentRequest",
    "ConsentWording",
    "Contact",
    "ContactMerge",
    "CustomField",
    "DataRequest",
    "Deal",
    "DealContact",
    "ImportJob",
    "ImportPerson",
    "ImportReject",
    "MailPreference",
    "Mark",
    "Owner",
    "Purpose",
    "Signal",
    "Stage",
    "StageMove",
    "Suppression",
    "SuppressionPattern",
    "Visitor",
    "VisitorPage",
    "Website",
    "Workspace",
]
