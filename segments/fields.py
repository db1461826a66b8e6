"""The facts as rules name them: fields of contact, company, activity and deal, deals as related rows, segments and personas."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, LiteralString

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from leads import countries
from leads.models import ActivityKind, ConsentEvent, CustomField, Deal, Mark, Owner, Purpose, Stage
from segments.conditions import suggestions
from segments.conditions.facts import ActivityFact, DealFact, Facts, json_text
from segments.conditions.fields import (
    GROUP_ACTIVITY,
    GROUP_COMPANY,
    GROUP_CONTACT,
    GROUP_DEAL,
    Catalogue,
    Choices,
    Either,
    Family,
    Field,
    Related,
    Scope,
    Subject,
    register_family,
    register_field,
    register_related,
    register_subject,
)
from segments.conditions.fragment import TRUE, Sql, bind, sql
from segments.conditions.operators import from_wall_clock
from segments.conditions.periods import ISO_DATE, ISO_MOMENT, Moment, instant, parse_date, parse_moment
from segments.conditions.tree import MemberLeaf
from segments.field_help import HELP
from segments.models import Persona, Segment

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

CONTACT = frozenset({int(Mark.Facet.CONTACT)})
COMPANY = frozenset({int(Mark.Facet.CONTACT), int(Mark.Facet.COMPANY)})  # the contact may change companies
ACTIVITY = frozenset({int(Mark.Facet.ACTIVITY)})
DEAL = frozenset({int(Mark.Facet.DEAL)})
DEFINITION = frozenset({int(Mark.Facet.DEFINITION)})
CONSENT = frozenset({int(Mark.Facet.CONSENT), int(Mark.Facet.CONTACT)})  # the contact's address may change

# Text that is a decimal number; the lengths keep a cast from ever failing.
DECIMAL = r"^[+-]?[0-9]{1,100}(\.[0-9]{1,100})?$"
_DECIMAL = re.compile(DECIMAL.replace("$", r"\Z"))

# How a custom field's type is compared, and its flavour.
CUSTOM_TYPES = {
    "text": ("text", ""),
    "long_text": ("text", "long_text"),
    "number": ("number", ""),
    "yes_no": ("yes_no", ""),
    "choice": ("choice", ""),
    "choices": ("choices", ""),
    "date": ("date", ""),
    "moment": ("moment", ""),
    "email": ("text", "email"),
    "url": ("text", "url"),
    "phone": ("text", "phone"),
    "country": ("choice", "country"),
    "money": ("number", "money"),
}


def register() -> None:
    """Called by AppConfig.ready of segments."""
    _register_contact()
    _register_company()
    _register_activity()
    _register_deal()
    register_family(Family("consent.", _consents, _consent))
    register_subject(_segment_subject())
    register_subject(_persona_subject())


# --- expressions


def column(name: LiteralString) -> Callable[[str, Scope], Sql]:
    expression = Sql(name)
    return lambda as_type, scope: expression


def folded_array(name: LiteralString) -> Callable[[str, Scope], Sql]:
    """The tags of an array column, folded: its text in lower case is read as an array again, which parallel workers may do."""
    expression = sql(
        "CASE WHEN cardinality({}) > 0 THEN lower({}::text COLLATE \"pg_c_utf8\")::text[] ELSE ARRAY[]::text[] END",
        Sql(name), Sql(name),
    )  # fmt: skip
    return lambda as_type, scope: expression


def json_key(name: LiteralString, key: str, *, is_typed: bool) -> Callable[[str, Scope], Sql]:
    """One key of a JSON column, read as the type asks; null where it cannot be read so.

    `is_typed`: the import stored text where the field's type is text, so nothing is looked at twice.
    """
    stored = sql("({} -> {})", Sql(name), bind(key, "text"))
    text = sql("({} ->> {})", Sql(name), bind(key, "text"))

    def read(as_type: str, scope: Scope) -> Sql:
        match as_type:
            case "text" | "choice" if is_typed:
                return text
            case "text" | "choice":
                return sql("CASE WHEN jsonb_typeof({}) IN ('string', 'number', 'boolean') THEN {} END", stored, text)
            case "number" if is_typed:
                return sql("CASE WHEN jsonb_typeof({}) = 'number' THEN {}::numeric END", stored, stored)
            case "number":
                return sql(
                    "CASE jsonb_typeof({}) WHEN 'number' THEN {}::numeric WHEN 'string' THEN CASE WHEN {} ~ {} THEN {}::numeric END END",
                    stored, stored, text, bind(DECIMAL, "text"), text,
                )  # fmt: skip
            case "yes_no":
                return sql("CASE WHEN jsonb_typeof({}) = 'boolean' THEN {}::boolean END", stored, stored)
            case "choices":
                return sql(
                    'ARRAY(SELECT lower(item COLLATE "pg_c_utf8") FROM jsonb_array_elements_text('
                    "CASE WHEN jsonb_typeof({}) = 'array' THEN {} ELSE '[]'::jsonb END) AS item)",
                    stored, stored,
                )  # fmt: skip
            case "date":
                return sql(
                    "CASE WHEN {} ~ {} AND pg_input_is_valid({}, 'date') THEN {}::date END",
                    text,
                    bind(ISO_DATE, "text"),
                    text,
                    text,
                )
            case "moment":
                exact = sql(
                    "regexp_replace({}, {}, {})", text, bind(r"(\.[0-9]{6})[0-9]+", "text"), bind(r"\1", "text")
                )
                return sql(
                    "CASE WHEN {} ~ {} AND pg_input_is_valid({}, 'timestamptz')"
                    " THEN CASE WHEN {} ~ {} THEN {}::timestamptz ELSE {} END END",
                    text, bind(ISO_MOMENT, "text"), exact, text, bind("(Z|[+-][0-9]{2}:?[0-9]{2})$", "text"), exact,
                    from_wall_clock(sql("{}::timestamp", exact), scope),
                )  # fmt: skip
        return stored

    return read


def read_stored(stored: Any, as_type: str, moment: Moment, *, is_typed: bool) -> Any:
    """The same in Python."""
    match as_type:
        case "text" | "choice":
            return json_text(stored, whole=is_typed)
        case "number":
            if isinstance(stored, str):
                return Decimal(stored) if not is_typed and _DECIMAL.match(stored) else None
            return stored if isinstance(stored, int | Decimal) and not isinstance(stored, bool) else None
        case "yes_no":
            return stored if isinstance(stored, bool) else None
        case "choices":
            return (
                [json_text(item, whole=True) for item in stored if item is not None]
                if isinstance(stored, list)
                else None
            )
        case "date":
            return parse_date(stored) if isinstance(stored, str) else None
        case "moment":
            found = parse_moment(stored) if isinstance(stored, str) else None
            return None if found is None else instant(found, moment.zone)
        case "iso":
            return read_stored(stored, "date", moment, is_typed=False) or read_stored(
                stored, "moment", moment, is_typed=False
            )
    return stored


def _custom_family(
    of: str,
    name: LiteralString,
    group: StrOrPromise,
    facets: frozenset[int],
    within: Any,
    get: Callable[[Any], Mapping[str, Any]],
) -> Family:
    prefix = f"{of}.custom."

    def one(row: CustomField) -> Field:
        type, flavour = CUSTOM_TYPES[row.type]
        choices: Choices | None = None
        if flavour == "country":
            choices = countries.choices
        elif row.choices:
            choices = lambda: [(choice, choice) for choice in row.choices]  # noqa: E731
        return Field(
            key=prefix + row.key, type=type, label=row.label, group=group, help=row.help, flavour=flavour, facets=facets,
            sql=json_key(name, row.key, is_typed=True), within=within, choices=choices,
            value=lambda facts, as_type, moment: read_stored(get(facts).get(row.key), as_type, moment, is_typed=True),
            normal=countries.normal if flavour == "country" else None,
            examples=suggestions.of_key(of, row.key, flavour or type),
        )  # fmt: skip

    def load(catalogue: Catalogue) -> dict[str, Field]:
        rows = catalogue.once("custom fields", lambda: list(CustomField.objects.all()))
        return {prefix + row.key: one(row) for row in rows if row.of == of}

    return Family(prefix, load)


# --- contact


def _register_contact() -> None:
    plain: tuple[tuple[LiteralString, StrOrPromise, str], ...] = (
        ("email", _("E-mail"), "email"),
        ("first_name", _("First name"), ""),
        ("last_name", _("Last name"), ""),
        ("title", _("Job title"), ""),
        ("department", _("Department"), ""),
        ("seniority", _("Seniority"), ""),
        ("phone", _("Phone"), "phone"),
        ("region", _("Region"), ""),
        ("city", _("City"), ""),
        ("postal_code", _("Postal code"), ""),
        ("timezone", _("Time zone"), ""),
        ("language", _("Language"), ""),
        ("source", _("Source"), ""),
        ("external_id", _("External id"), ""),
    )
    for name, label, flavour in plain:
        register_field(
            Field(
                key=f"contact.{name}", type="text", label=label, group=GROUP_CONTACT, sql=column(f"contact.{name}"), flavour=flavour,
                value=_of_contact(name), facets=CONTACT, help=HELP[f"contact.{name}"], examples=suggestions.of_column("contact", name),
            )
        )  # fmt: skip
    register_field(
        Field(
            key="contact.country", type="choice", label=_("Country"), group=GROUP_CONTACT, sql=column("contact.country"),
            value=_of_contact("country"), choices=countries.choices, normal=countries.normal, flavour="country", facets=CONTACT,
            help=HELP["contact.country"], examples=suggestions.of_column("contact", "country"),
        )
    )  # fmt: skip
    register_field(
        Field(
            key="contact.owner", type="text", label=_("Owner"), group=GROUP_CONTACT, sql=column("spelling.text"), facets=CONTACT,
            within=lambda condition, scope: sql(
                "EXISTS (SELECT 1 FROM leads_owner owner CROSS JOIN LATERAL (VALUES (owner.name), (owner.email)) AS spelling(text)"
                " WHERE owner.id = contact.owner_id AND {})",
                condition,
            ),
            value=lambda facts, as_type, moment: Either(part for part in facts.owner if part) if facts.owner else None,
            help=HELP["contact.owner"], examples=_owners,
        )
    )  # fmt: skip
    register_field(
        Field(
            key="contact.stage", type="choice", label=_("Stage"), group=GROUP_CONTACT, sql=_stage_sql, value=_stage_value,
            choices=lambda: Stage.objects.order_by("position").values_list("slug", "label"), is_closed=True, is_lower=True, facets=CONTACT,
            help=HELP["contact.stage"],
        )
    )  # fmt: skip
    register_field(
        Field(
            key="contact.persona", type="choice", label=_("Persona"), group=GROUP_CONTACT, sql=column("persona.slug"),
            within=lambda condition, scope: sql(
                "EXISTS (SELECT 1 FROM segments_personaassignment stay JOIN segments_persona persona ON persona.id = stay.persona_id"
                " WHERE stay.contact_id = contact.id AND {} AND {})",
                _covers(scope), condition,
            ),
            value=lambda facts, as_type, moment: next((stay.slug for stay in facts.personas if stay.covers(moment.at)), None),
            choices=lambda: Persona.objects.values_list("slug", "name"), is_closed=True, facets=DEFINITION, help=HELP["contact.persona"],
        )
    )  # fmt: skip
    register_field(
        Field(
            key="contact.tags", type="choices", label=_("Tags"), group=GROUP_CONTACT, sql=folded_array("contact.tags"), flavour="tags",
            value=_of_contact("tags"), facets=CONTACT, help=HELP["contact.tags"], examples=suggestions.of_tags("contact"),
        )
    )  # fmt: skip
    for name, label in (("created_at", _("Created")), ("updated_at", _("Updated"))):
        register_field(
            Field(
                key=f"contact.{name}", type="moment", label=label, group=GROUP_CONTACT, sql=column(f"contact.{name}"),
                value=_of_contact(name), facets=CONTACT, help=HELP[f"contact.{name}"],
            )
        )  # fmt: skip
    register_field(
        Field(
            key="contact.last_activity_at", type="moment", label=_("Last activity"), group=GROUP_CONTACT, sql=column("latest.at"),
            within=_last_activity, people=_people_by_last_activity, facets=ACTIVITY, help=HELP["contact.last_activity_at"],
            value=lambda facts, as_type, moment: max((row.occurred_at for row in facts.until(moment.at)), default=None),
        )
    )  # fmt: skip
    register_family(
        _custom_family("contact", "contact.custom", GROUP_CONTACT, CONTACT, None, lambda facts: facts.custom)
    )


def _owners(typed: str) -> list[str]:
    found = Owner.objects.filter(Q(name__icontains=typed) | Q(email__icontains=typed)).exclude(name="")
    return list(found.order_by("name").values_list("name", flat=True)[:20])


def _of_contact(name: str) -> Callable[[Facts, str, Moment], Any]:
    return lambda facts, as_type, moment: facts.contact[name]


def _covers(scope: Scope) -> Sql:
    """The stay was open at `at`; in the turn, that it is: somebody may have been added since the turn began."""
    if scope.catalogue is not None and scope.catalogue.reads_open_stays:
        return Sql("stay.until IS NULL")
    at = bind(scope.moment.at, "timestamptz")
    return sql("stay.since <= {} AND (stay.until IS NULL OR stay.until > {})", at, at)


def _stage_sql(as_type: str, scope: Scope) -> Sql:
    """The stage at `at`: of the row when it was there already, else from the history of moves."""
    if not scope.has_later("moves"):
        return Sql("contact.stage")
    at = bind(scope.moment.at, "timestamptz")
    return sql(
        "CASE WHEN contact.stage_since <= {} THEN contact.stage ELSE COALESCE("
        "(SELECT move.to_stage FROM leads_stagemove move WHERE move.contact_id = contact.id AND move.moved_at <= {}"
        " ORDER BY move.moved_at DESC, move.id DESC LIMIT 1),"
        "(SELECT COALESCE(NULLIF(move.from_stage, ''), move.to_stage) FROM leads_stagemove move WHERE move.contact_id = contact.id"
        " ORDER BY move.moved_at, move.id LIMIT 1), contact.stage) END",
        at, at,
    )  # fmt: skip


def _stage_value(facts: Facts, as_type: str, moment: Moment) -> str:
    if facts.contact["stage_since"] <= moment.at or not facts.moves:
        return str(facts.contact["stage"])
    past = [move.to_stage for move in facts.moves if move.moved_at <= moment.at]
    return past[-1] if past else facts.moves[0].from_stage or facts.moves[0].to_stage


def _last_activity(condition: Sql, scope: Scope) -> Sql:
    if scope.contacts is not None:
        return sql("(contact.id IN ({})) IS TRUE", _people_by_last_activity(condition, scope))
    return sql("EXISTS (SELECT 1 FROM {} WHERE latest.contact_id = contact.id AND {})", _latest(scope), condition)


def _people_by_last_activity(condition: Sql, scope: Scope) -> Sql:
    return sql("SELECT latest.contact_id FROM {} WHERE {}", _latest(scope), condition)


def _latest(scope: Scope) -> Sql:
    """The last activity of each contact that has one, from the signals."""
    at = bind(scope.moment.at, "timestamptz")
    last, begun = Sql("signal.last_at"), TRUE
    if scope.has_later("activities"):
        begun = sql("signal.first_at <= {}", at)
        last = sql(
            "CASE WHEN signal.last_at <= {} THEN signal.last_at ELSE (SELECT max(activity.occurred_at) FROM leads_activity activity"
            " WHERE activity.contact_id = signal.contact_id AND activity.kind_id = signal.kind_id AND activity.occurred_at <= {}) END",
            at, at,
        )  # fmt: skip
    return sql(
        "(SELECT signal.contact_id, max({}) AS at FROM leads_signal signal WHERE {}{} GROUP BY signal.contact_id) AS latest",
        last, begun, scope.only("signal.contact_id"),
    )  # fmt: skip


# --- company


def _register_company() -> None:
    plain: tuple[tuple[LiteralString, str, StrOrPromise, str], ...] = (
        ("name", "text", _("Company"), ""),
        ("domain", "text", _("Company domain"), ""),
        ("industry", "text", _("Industry"), ""),
        ("employees", "number", _("Employees"), ""),
        ("revenue", "number", _("Revenue"), "money"),
        ("founded", "number", _("Founded in"), ""),
        ("country", "choice", _("Company country"), "country"),
        ("region", "text", _("Company region"), ""),
        ("city", "text", _("Company city"), ""),
        ("external_id", "text", _("Company external id"), ""),
    )
    for name, type, label, flavour in plain:
        is_country = flavour == "country"
        register_field(
            Field(
                key=f"company.{name}", type=type, label=label, group=GROUP_COMPANY, sql=column(f"company.{name}"), within=_in_company,
                value=_of_company(name), choices=countries.choices if is_country else None, normal=countries.normal if is_country else None,
                flavour=flavour, facets=COMPANY, help=HELP[f"company.{name}"], examples=None if type == "number" else suggestions.of_column("company", name),
            )
        )  # fmt: skip
    register_field(
        Field(
            key="company.tags", type="choices", label=_("Company tags"), group=GROUP_COMPANY, sql=folded_array("company.tags"),
            within=_in_company, value=_of_company("tags"), flavour="tags", facets=COMPANY, help=HELP["company.tags"],
            examples=suggestions.of_tags("company"),
        )
    )  # fmt: skip
    register_family(
        _custom_family(
            "company", "company.custom", GROUP_COMPANY, COMPANY, _in_company, lambda facts: facts.company_custom
        )
    )


def _in_company(condition: Sql, scope: Scope) -> Sql:
    return sql("EXISTS (SELECT 1 FROM leads_company company WHERE company.id = contact.company_id AND {})", condition)


def _of_company(name: str) -> Callable[[Facts, str, Moment], Any]:
    return lambda facts, as_type, moment: facts.company[name] if facts.company else None


# --- activity


def _register_activity() -> None:
    register_field(
        Field(
            key="activity.kind", type="choice", label=_("Kind"), group=GROUP_ACTIVITY, sql=column("kind.slug"), facets=ACTIVITY,
            help=HELP["activity.kind"],
            within=lambda condition, scope: sql(
                "EXISTS (SELECT 1 FROM leads_activitykind kind WHERE kind.id = activity.kind_id AND {})", condition
            ),
            value=_of_row("kind"), choices=lambda: ActivityKind.objects.order_by("is_custom", "label").values_list("slug", "label"),
        )
    )  # fmt: skip
    assets: tuple[tuple[LiteralString, StrOrPromise, str], ...] = (
        ("url", _("URL"), "url"),
        ("subject", _("Subject"), ""),
        ("source", _("Activity source"), ""),
    )
    for name, label, flavour in assets:
        register_field(
            Field(
                key=f"activity.{name}", type="text", label=label, group=GROUP_ACTIVITY, help=HELP[f"activity.{name}"], sql=column(f"asset.{name}"),
                within=_in_asset, value=_of_row(name), flavour=flavour, facets=ACTIVITY, examples=suggestions.of_column("asset", name),
            )
        )  # fmt: skip
    register_field(
        Field(
            key="activity.occurred_at", type="moment", label=_("Occurred"), group=GROUP_ACTIVITY, sql=column("activity.occurred_at"),
            value=_of_row("occurred_at"), facets=ACTIVITY, help=HELP["activity.occurred_at"],
        )
    )  # fmt: skip
    prefix = "activity.properties."
    register_family(
        Family(
            prefix, lambda _: {prefix + key: _property(prefix + key) for key in suggestions.property_keys()}, _property
        )
    )


def _in_asset(condition: Sql, scope: Scope) -> Sql:
    if scope.is_listed or scope.contacts is not None:
        return sql("(activity.asset_id IN (SELECT asset.id FROM leads_asset asset WHERE {})) IS TRUE", condition)
    return sql("EXISTS (SELECT 1 FROM leads_asset asset WHERE asset.id = activity.asset_id AND {})", condition)


def _property(key: str) -> Field:
    name = key.removeprefix("activity.properties.")

    def value(row: ActivityFact, as_type: str, moment: Moment) -> Any:
        return read_stored(row.properties.get(name), as_type, moment, is_typed=False)

    return Field(
        key=key, type="property", label=name, group=GROUP_ACTIVITY, sql=json_key("activity.properties", name, is_typed=False),
        value=value, facets=ACTIVITY, help=_("A property of the activity, read as the value asks."), examples=suggestions.of_property(name),
    )  # fmt: skip


def _of_row(name: str) -> Callable[[Any, str, Moment], Any]:
    return lambda row, as_type, moment: getattr(row, name)


# --- deal: as it was at `at`


def _register_deal() -> None:
    def later(scope: Scope) -> Sql:
        return sql("deal.closed_on > {}", bind(scope.moment.today, "date"))

    def deal(name: LiteralString, type: str, label: StrOrPromise, **more: Any) -> None:
        more = {"sql": column(f"deal.{name}"), "value": _of_row(name), "help": HELP[f"deal.{name}"], **more}
        register_field(Field(key=f"deal.{name}", type=type, label=label, group=GROUP_DEAL, facets=DEAL, **more))

    deal(
        "status", "choice", _("Status"), choices=lambda: Deal.Status.choices, is_closed=True,
        sql=lambda as_type, scope: sql("CASE WHEN {} THEN 'open' ELSE deal.status END", later(scope)),
        value=lambda row, as_type, moment: "open" if row.is_closed_later(moment) else row.status,
    )  # fmt: skip
    deal("amount", "number", _("Amount"), flavour="money")
    deal("margin", "number", _("Margin"))
    deal("product", "text", _("Product"), examples=suggestions.of_column("deal", "product"))
    deal("opened_on", "date", _("Opened on"))
    deal(
        "closed_on", "date", _("Closed on"),
        sql=lambda as_type, scope: sql("CASE WHEN NOT {} THEN deal.closed_on END", later(scope)),
        value=lambda row, as_type, moment: None if row.is_closed_later(moment) else row.closed_on,
    )  # fmt: skip
    deal(
        "loss_reason", "text", _("Loss reason"), examples=suggestions.of_column("deal", "loss_reason"),
        sql=lambda as_type, scope: sql("CASE WHEN {} THEN '' ELSE deal.loss_reason END", later(scope)),
        value=lambda row, as_type, moment: "" if row.is_closed_later(moment) else row.loss_reason,
    )  # fmt: skip
    register_family(_custom_family("deal", "deal.custom", GROUP_DEAL, DEAL, None, lambda row: row.custom))
    register_related(
        Related(
            key="deal", label=_("Deals"), words=_("deal"), link="link.contact_id", is_sure=True, facets=DEAL, rows=_deals,
            source=lambda scope: sql(
                "FROM leads_dealcontact link JOIN leads_deal deal ON deal.id = link.deal_id"
                " WHERE (deal.opened_on IS NULL OR deal.opened_on <= {})",
                bind(scope.moment.today, "date"),
            ),
        )
    )  # fmt: skip


def _deals(facts: Facts, moment: Moment) -> Sequence[DealFact]:
    return [deal for deal in facts.deals if deal.exists_at(moment)]


# --- consent: by address, as of `at`


def _consents(_catalogue: Catalogue) -> dict[str, Field]:
    """The purposes of this instance, and what the ledger met besides. One statement."""
    met = ConsentEvent.objects.order_by().values_list("purpose", flat=True)
    purposes = {Purpose.ALL, *Purpose.objects.order_by().values_list("slug", flat=True).union(met)}
    return {f"consent.{purpose}": _consent(f"consent.{purpose}") for purpose in sorted(purposes)}


def _consent(key: str) -> Field:
    purpose = key.removeprefix("consent.")
    return Field(
        key=key, type="choice", label=_("Consent: %(purpose)s") % {"purpose": purpose}, group=_("Consent"), facets=CONSENT,
        sql=column("latest.state"), within=lambda condition, scope: _in_consent(purpose, condition, scope),
        value=lambda facts, as_type, moment: _consent_state(facts, purpose, moment),
        choices=lambda: ConsentEvent.State.choices, is_closed=True,
        help=_("The last entry of the consent ledger for the contact's address; one for marketing counts for every purpose."),
    )  # fmt: skip


def _in_consent(purpose: str, condition: Sql, scope: Scope) -> Sql:
    """Everybody: the ledger's last rows once. A batch: a step down the index for each address."""
    address = Sql("leads_address_hash(contact.email)")
    counts = sql(
        "event.purpose = ANY ({}) AND event.counts AND event.occurred_at <= {}",
        bind(sorted({purpose, "marketing"}), "text[]"), bind(scope.moment.at, "timestamptz"),
    )  # fmt: skip
    if scope.contacts is None:
        return sql(
            "EXISTS (SELECT 1 FROM (SELECT DISTINCT ON (event.address_hash) event.address_hash, event.state FROM leads_consentevent event"
            " WHERE {} ORDER BY event.address_hash, event.occurred_at DESC, event.id DESC) AS latest"
            " WHERE latest.address_hash = {} AND {})",
            counts, address, condition,
        )  # fmt: skip
    return sql(
        "EXISTS (SELECT 1 FROM (SELECT event.state FROM leads_consentevent event WHERE event.address_hash = {} AND {}"
        " ORDER BY event.occurred_at DESC, event.id DESC LIMIT 1) AS latest WHERE {})",
        address, counts, condition,
    )  # fmt: skip


def _consent_state(facts: Facts, purpose: str, moment: Moment) -> str | None:
    states = [
        event.state
        for event in facts.consents
        if event.purpose in (purpose, "marketing") and event.occurred_at <= moment.at
    ]
    return states[-1] if states else None


# --- memberships, as stored; sql.py and reasons.py work them out afresh where that is asked


def _segment_subject() -> Subject:
    return Subject(
        key="in_segment", label=_("segment"), words=_("is in segment {name}"), node="segment", facets=DEFINITION,
        choices=lambda: Segment.objects.filter(archived_at=None).values_list("slug", "name"),
        archived=lambda: Segment.objects.exclude(archived_at=None).values_list("slug", "name"),
        sql=lambda leaf, scope: sql(
            "EXISTS (SELECT 1 {} AND stay.contact_id = contact.id)", _stays_in_segment(leaf, scope)
        ),
        people=lambda leaf, scope: sql("SELECT stay.contact_id {}", _stays_in_segment(leaf, scope)),
        holds=lambda leaf, facts, moment: _is_in(leaf, facts.segments, moment),
    )  # fmt: skip


def _persona_subject() -> Subject:
    return Subject(
        key="in_persona", label=_("persona"), words=_("counts as persona {name}"), node="persona", facets=DEFINITION,
        choices=lambda: Persona.objects.values_list("slug", "name"),
        sql=lambda leaf, scope: sql(
            "EXISTS (SELECT 1 {} AND stay.contact_id = contact.id)", _stays_in_persona(leaf, scope)
        ),
        people=lambda leaf, scope: sql("SELECT stay.contact_id {}", _stays_in_persona(leaf, scope)),
        holds=lambda leaf, facts, moment: _is_in(leaf, facts.personas, moment),
    )  # fmt: skip


def _stays_in_segment(leaf: MemberLeaf, scope: Scope) -> Sql:
    """One stay a contact at any moment. The id is looked up once, so that the index of open stays answers alone."""
    return sql(
        "FROM segments_membership stay WHERE stay.segment_id = (SELECT segment.id FROM segments_segment segment WHERE segment.slug = {})"
        " AND {}",
        bind(leaf.slug, "text"), _covers(scope),
    )  # fmt: skip


def _stays_in_persona(leaf: MemberLeaf, scope: Scope) -> Sql:
    return sql(
        "FROM segments_personaassignment stay WHERE stay.persona_id = (SELECT persona.id FROM segments_persona persona WHERE persona.slug = {})"
        " AND {}",
        bind(leaf.slug, "text"), _covers(scope),
    )  # fmt: skip


def _is_in(leaf: MemberLeaf, stays: Iterable[Any], moment: Moment) -> bool:
    return any(stay.slug == leaf.slug and stay.covers(moment.at) for stay in stays)
