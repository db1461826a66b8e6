"""What we do next: programs, mails, and what came of them."""

from nurture.models.broadcasts import Broadcast, BroadcastRecipient, BroadcastVariant
from nurture.models.enrolments import Enrolment, EntryPlace, EntryQueue, SplitPass, SplitTrial, StepVisit, TriggerMatch
from nurture.models.programs import Program, ProgramVersion, Publication, PublicationMove, Simulation, Trigger
from nurture.models.sendings import (
    DomainPace,
    DomainRest,
    MailboxLetter,
    MailboxState,
    MailBudget,
    ProviderEvent,
    Sending,
)
from nurture.models.templates import Image, Stationery, StationeryVersion, Template, TemplateVersion
from nurture.models.tracking import MailClick, MailHit, MailResponse, TrackingDefaults, TrackingRule, quiet_countries
from nurture.models.work import Task, WebhookCall

__all__ = [
    "Broadcast",
    "BroadcastRecipient",
    "BroadcastVariant",
    "DomainPace",
    "DomainRest",
    "Enrolment",
    "EntryPlace",
    "EntryQueue",
    "Image",
    "MailBudget",
    "MailClick",
    "MailHit",
    "MailResponse",
    "MailboxLetter",
    "MailboxState",
    "Program",
    "ProgramVersion",
    "ProviderEvent",
    "Publication",
    "PublicationMove",
    "Sending",
    "Simulation",
    "SplitPass",
    "SplitTrial",
    "Stationery",
    "StationeryVersion",
    "StepVisit",
    "Task",
    "Template",
    "TemplateVersion",
    "TrackingDefaults",
    "TrackingRule",
    "Trigger",
    "TriggerMatch",
    "WebhookCall",
    "quiet_countries",
]
