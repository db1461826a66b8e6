"""What the demo company has set up: custom fields, segments, personas, a score model, mails and programs, as documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from scoring.occurrences import Counting

Document = dict[str, Any]

PRICING: Document = {"field": "url", "op": "contains", "value": "/pricing"}
_DECIDES: Document = {"field": "contact.seniority", "op": "in", "value": ["director", "vp", "c-level"]}
_PRODUCES: Document = {
    "field": "company.industry",
    "op": "in",
    "value": ["manufacturing", "automotive", "food processing", "chemicals", "medical devices"],
}


def last(number: int, unit: str = "days") -> Document:
    return {"op": "in_last", "value": number, "unit": unit}


def has_deal(status: str, *more: Document, count: Document | None = None) -> Document:
    leaf: Document = {"has": "deal", "where": [{"field": "status", "op": "is", "value": status}, *more]}
    return leaf | ({"count": count} if count else {})


NEVER: Document = {"op": "exactly", "value": 0}

FIELDS: tuple[Document, ...] = (
    {"of": "contact", "key": "lines_in_plant", "label": "Production lines", "type": "number", "choices": []},
    {
        "of": "contact",
        "key": "current_system",
        "label": "Measures today with",
        "type": "choice",
        "choices": ["spreadsheets", "home-grown", "competitor", "none"],
    },
)

SEGMENTS: tuple[Document, ...] = (
    {
        "slug": "dach-manufacturing",
        "name": "DACH manufacturing",
        "folder": "Markets",
        "labels": ["market"],
        "conditions": {
            "all": [
                {"field": "company.country", "op": "in", "value": ["DE", "AT", "CH"]},
                {"field": "company.industry", "op": "is", "value": "manufacturing"},
            ]
        },
    },
    {
        "slug": "larger-plants",
        "name": "Larger plants",
        "folder": "Markets",
        "labels": ["market"],
        "conditions": {"all": [_PRODUCES, {"field": "company.employees", "op": "at_least", "value": 250}]},
    },
    {
        "slug": "decision-makers",
        "name": "Decision makers",
        "folder": "People",
        "labels": ["people"],
        "conditions": {"all": [_DECIDES]},
    },
    {
        "slug": "students",
        "name": "Students and research",
        "folder": "People",
        "labels": ["people"],
        "conditions": {
            "any": [
                {"field": "contact.seniority", "op": "is", "value": "student"},
                {"field": "contact.title", "op": "contains", "value": "student"},
                {"field": "company.industry", "op": "is", "value": "education"},
            ]
        },
    },
    {
        "slug": "newcomers",
        "name": "Newcomers, last 14 days",
        "folder": "Engagement",
        "labels": ["live"],
        "conditions": {"all": [{"field": "contact.created_at", "op": "in_last", "value": 14, "unit": "days"}]},
    },
    {
        "slug": "pricing-visitors",
        "name": "Looked at prices, last 30 days",
        "folder": "Engagement",
        "labels": ["live"],
        "conditions": {
            "all": [
                {"did": "page_view", "where": [PRICING], "count": {"op": "at_least", "value": 2}, "when": last(30)},
                {"not": {"in_segment": "students"}},
            ]
        },
    },
    {
        "slug": "webinar-guests",
        "name": "Webinar guests",
        "folder": "Engagement",
        "labels": ["live"],
        "conditions": {"all": [{"did": "webinar_attended"}]},
    },
    {
        "slug": "letter-readers",
        "name": "Reads the letter",
        "folder": "Engagement",
        "labels": ["live"],
        "conditions": {
            "all": [{"did": ["email_open", "email_click"], "count": {"op": "at_least", "value": 2}, "when": last(90)}]
        },
    },
    {
        "slug": "fallen-asleep",
        "name": "Fallen asleep",
        "folder": "Engagement",
        "labels": ["live"],
        "notes": "Known for a quarter, and nothing but our own letters since.",
        "conditions": {
            "all": [
                {"field": "contact.created_at", "op": "more_than_ago", "value": 3, "unit": "months"},
                {
                    "did": [
                        "page_view",
                        "form_submit",
                        "download",
                        "email_click",
                        "webinar_attended",
                        "meeting",
                        "call",
                    ],
                    "count": NEVER,
                    "when": last(3, "months"),
                },
                {"field": "contact.stage", "op": "not_in", "value": ["customer", "disqualified"]},
            ]
        },
    },
    {
        "slug": "customers",
        "name": "Customers",
        "folder": "Deals",
        "labels": ["sales"],
        "conditions": {"all": [has_deal("won")]},
    },
    {
        "slug": "open-opportunities",
        "name": "Open opportunities",
        "folder": "Deals",
        "labels": ["sales"],
        "conditions": {"all": [has_deal("open")]},
    },
    {
        "slug": "closed-lost",
        "name": "Closed-Lost",
        "folder": "Deals",
        "labels": ["sales"],
        "notes": "Lost a deal, won none since: the people a second look is for.",
        "conditions": {"all": [has_deal("lost"), has_deal("won", count=NEVER), has_deal("open", count=NEVER)]},
    },
    {
        "slug": "closed-lost-budget",
        "name": "Closed-Lost for want of budget",
        "folder": "Deals",
        "labels": ["sales"],
        "conditions": {
            "all": [
                {"in_segment": "closed-lost"},
                has_deal("lost", {"field": "loss_reason", "op": "contains", "value": "budget"}),
            ]
        },
    },
    {
        "slug": "spreadsheet-plants",
        "name": "Still on spreadsheets",
        "folder": "Markets",
        "labels": ["market"],
        "conditions": {"all": [{"field": "contact.custom.current_system", "op": "is", "value": "spreadsheets"}]},
    },
)

PERSONAS: tuple[Document, ...] = (
    {
        "slug": "plant-leader",
        "name": "Petra, who runs the plant",
        "job": "Plant manager, head of production, VP operations",
        "role": "decides",
        "day": "Starts at six with the night shift's numbers, on paper. Two stand-ups, one escalation, a customer audit. "
        "Reports output on Fridays from a spreadsheet that three people fill in.",
        "background": "Engineer by training, fifteen years on the shop floor, promoted for calm in bad weeks.",
        "goals": "Deliver on time without weekend shifts; know on Tuesday what Friday's report will say.",
        "motivations": ["order", "power", "status"],
        "end_goals": "To be the plant that headquarters shows to visitors.",
        "obstacles_external": "Old machines without interfaces; works council; no budget outside the yearly plan.",
        "obstacles_internal": "Burnt once by a system that nobody used after the pilot.",
        "obstacles_philosophical": "A plant should be led by people who walk through it, not by dashboards.",
        "objections": "We have no time for a project. – Our machines are too old. – IT will say no.",
        "status": "agreed",
        "conditions": {
            "all": [
                {"field": "contact.department", "op": "is", "value": "Operations"},
                {"field": "contact.seniority", "op": "in", "value": ["manager", "director", "vp", "c-level"]},
            ]
        },
    },
    {
        "slug": "money-keeper",
        "name": "Frank, who signs",
        "job": "CFO, VP finance, controller",
        "role": "pays",
        "day": "Month-end, bank, board paper. Sees the plant through variances and wonders where the energy bill comes from.",
        "background": "Audit, then industry. Trusts figures that reconcile.",
        "goals": "Cost per part that can be explained; no surprises in the fourth quarter.",
        "motivations": ["saving", "order"],
        "end_goals": "A company that can pay for its own growth.",
        "obstacles_external": "Investment freeze until the loan is renewed.",
        "obstacles_internal": "Afraid of a subscription that grows by itself.",
        "obstacles_philosophical": "Savings that do not show in the ledger are stories.",
        "objections": "What is the payback? – Who else in our industry? – Can we leave after a year?",
        "status": "agreed",
        "conditions": {"all": [{"field": "contact.department", "op": "is", "value": "Finance"}]},
    },
    {
        "slug": "machine-keeper",
        "name": "Miro, who keeps it running",
        "job": "Maintenance manager, automation engineer, IT manager",
        "role": "influences",
        "day": "Radio, ladder, spare-part catalogue. Knows every bearing by its sound and every network switch by its age.",
        "background": "Trained on the floor, self-taught in PLCs and networks.",
        "goals": "Fewer calls at night; failures announced a week ahead.",
        "motivations": ["curiosity", "acceptance", "independence"],
        "end_goals": "To be asked before machines are bought.",
        "obstacles_external": "Segmented networks, security rules, missing drawings.",
        "obstacles_internal": "Fears that measuring machines means measuring people.",
        "obstacles_philosophical": "Whoever cannot repair it should not depend on it.",
        "objections": "Does it speak OPC UA? – Who patches it? – Does it work without the cloud?",
        "status": "on_test",
        "conditions": {
            "any": [
                {"field": "contact.department", "op": "in", "value": ["Maintenance", "Engineering", "IT"]},
                {"field": "contact.title", "op": "contains", "value": "engineer"},
            ]
        },
    },
)

# Least points of A, B, C and of 1, 2, 3.
FIT_LINES = (Decimal(55), Decimal(40), Decimal(25))
BEHAVIOUR_LINES = (Decimal(45), Decimal(25), Decimal(5))

# Rules that count each activity, by name: the points of a download fade, those of clicks lapse, and neither grows for ever.
COUNTINGS: dict[str, Counting] = {
    "Downloaded something": Counting(cap=Decimal(12), halves_after_days=30),
    "Clicked in a mail": Counting(cap=Decimal(8), expires_after_days=30),
}
# Handed over is nobody who bought already, and again for the same reasons only who fell below the lower line since.
HAND_OFF: Document = {"not": {"in_segment": "customers"}}
LOWER_LINE = Decimal(60)

# group, name, points, conditions
RULES: tuple[tuple[str, str, int, Document], ...] = (
    ("fit", "Decides or leads", 20, {"all": [_DECIDES]}),
    ("fit", "Manages a team", 10, {"all": [{"field": "contact.seniority", "op": "is", "value": "manager"}]}),
    (
        "fit",
        "Runs or maintains production",
        10,
        {"all": [{"field": "contact.department", "op": "in", "value": ["Operations", "Maintenance"]}]},
    ),
    ("fit", "A producing company", 15, {"all": [_PRODUCES]}),
    (
        "fit",
        "Our size: 50 to 2,000 people",
        10,
        {"all": [{"field": "company.employees", "op": "between", "value": [50, 2000]}]},
    ),
    (
        "fit",
        "A market we serve on site",
        5,
        {"all": [{"field": "company.country", "op": "in", "value": ["DE", "AT", "CH", "US", "GB"]}]},
    ),
    ("behaviour", "Asked for a demo", 25, {"all": [{"did": "demo_booked", "when": last(60)}]}),
    (
        "behaviour",
        "Asked for a quote",
        20,
        {
            "all": [
                {
                    "did": "form_submit",
                    "where": [{"field": "subject", "op": "is", "value": "Request a quote"}],
                    "when": last(90),
                }
            ]
        },
    ),
    (
        "behaviour",
        "Prices, twice or more in a month",
        15,
        {"all": [{"did": "page_view", "where": [PRICING], "count": {"op": "at_least", "value": 2}, "when": last(30)}]},
    ),
    ("behaviour", "Talked with us", 10, {"all": [{"did": ["meeting", "call", "reply"], "when": last(60)}]}),
    ("behaviour", "Came to a webinar", 10, {"all": [{"did": "webinar_attended", "when": last(120)}]}),
    ("behaviour", "Downloaded something", 5, {"did": "download"}),
    ("behaviour", "Clicked in a mail", 4, {"did": "email_click"}),
    (
        "behaviour",
        "Several visits in a fortnight",
        5,
        {"all": [{"did": "page_view", "count": {"op": "at_least", "value": 4}, "when": last(14)}]},
    ),
    ("negative", "Student or research", -60, {"any": [{"in_segment": "students"}]}),
    (
        "negative",
        "Looks for a job",
        -15,
        {
            "all": [
                {
                    "did": "page_view",
                    "where": [{"field": "url", "op": "contains", "value": "/careers"}],
                    "when": last(90),
                }
            ]
        },
    ),
    (
        "negative",
        "Quiet for a quarter",
        -20,
        {
            "all": [
                {
                    "did": "any",
                    "where": [{"field": "kind", "op": "not_in", "value": ["email_sent", "email_delivered"]}],
                    "count": NEVER,
                    "when": last(90),
                }
            ]
        },
    ),
    ("negative", "Already a customer", -40, {"all": [{"in_segment": "customers"}]}),
)


def _mail(slug: str, name: str, subject: str, preheader: str, *paragraphs: str, button: tuple[str, str]) -> Document:
    label, path = button
    text = "".join(f"<mj-text>{paragraph}</mj-text>" for paragraph in paragraphs)
    body = f"""<mjml>
  <mj-head>
    <mj-preview>{preheader}</mj-preview>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="1.6" color="#1f2937" />
      <mj-button background-color="#0f766e" border-radius="6px" font-size="16px" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="#f3f4f6">
    <mj-section padding="24px 0 8px"><mj-column>
      <mj-text font-size="20px" font-weight="700" color="#0f766e">Kestrel Instruments</mj-text>
    </mj-column></mj-section>
    <mj-section background-color="#ffffff" border-radius="8px"><mj-column>
      <mj-text>Hello {{{{ contact.first_name | default: "there" }}}},</mj-text>
      {text}
      <mj-button href="https://www.kestrel.example{path}">{label}</mj-button>
      <mj-text>{{{{ owner.name | default: "Your Kestrel team" }}}}</mj-text>
    </mj-column></mj-section>
  </mj-body>
</mjml>"""
    return {"slug": slug, "name": name, "subject": subject, "preheader": preheader, "format": "mjml", "body": body}


TEMPLATES: tuple[Document, ...] = (
    _mail(
        "welcome",
        "Welcome",
        "Welcome, {{ contact.first_name | default: 'and good to see you' }}",
        "Three things plants like {{ company.name | default: 'yours' }} start with",
        "thank you for your interest. Most plants begin with one line, one week and one question: where do the minutes go?",
        "The OEE handbook answers it in plain words, with a sheet you can fill in by hand.",
        button=("Read the handbook", "/resources"),
    ),
    _mail(
        "first-line",
        "The first line",
        "One line, one week: how {{ company.name | default: 'a plant' }} could start",
        "What you need, what it costs, what you see on day five",
        "a first line needs no project: four sensors, an hour of an electrician, and nobody from IT.",
        "On day five you know the three stops that cost you most. Here is how two plants in your industry did it.",
        button=("See both stories", "/customers"),
    ),
    _mail(
        "webinar-thanks",
        "After the webinar",
        "The slides, and the answer we owed you",
        "Including the calculator from minute 34",
        "thank you for joining us. The slides and the calculator are ready for you.",
        "If you fill in last month's figures, you get your own cost of downtime, which is usually twice the guess.",
        button=("Open the calculator", "/resources"),
    ),
    _mail(
        "winback-budget",
        "A second look at the budget",
        "When budgets open: a smaller first step",
        "One line on a monthly plan",
        "when we last spoke, the year's budget was spent. Since then many plants have started with a single line on a monthly plan.",
        "It can be ended each month, and what you pay counts towards a later purchase.",
        button=("See the monthly plan", "/pricing"),
    ),
    _mail(
        "wake-up",
        "Still of interest?",
        "Should we keep writing, {{ contact.first_name | default: 'or not' }}?",
        "One click, and we know",
        "it has been quiet between us. If live figures from the floor are no topic any more, we stop writing; no hard feelings.",
        "If they are, this is the piece that most plants read first.",
        button=("Energy cost per part", "/blog/energy-cost-per-part"),
    ),
)  # fmt: skip


def _step(name: str, kind: str, **values: Any) -> Document:
    return {"id": name, "kind": kind, **values}


def _wait(name: str, days: int) -> Document:
    return _step(name, "wait", **{"for": {"value": days, "unit": "days"}})


_LOOKED_AT_PRICES: Document = {"all": [{"did": "page_view", "where": [PRICING], "when": last(14)}]}
_READY: Document = {"all": [*_LOOKED_AT_PRICES["all"], {"field": "score.default.total", "op": "at_least", "value": 50}]}
_CLICKED: Document = {"all": [{"did": "email_click", "when": last(14)}]}

# days_before: how long before today it was started; the demo's history lets it run since.
PROGRAMS: tuple[Document, ...] = (
    {
        "slug": "welcome",
        "name": "Welcome",
        "notes": "Everybody new gets the handbook; who looks at prices and fits goes to sales, the others get a second mail.",
        "segment": "newcomers",
        "intake": "new",
        "days_before": 75,
        "tree": {
            "steps": [
                _step("hello", "send_email", template="welcome"),
                _wait("three-days", 3),
                _step(
                    "prices",
                    "branch",
                    conditions=_READY,
                    yes=[_step("sales", "hand_to_sales")],
                    no=[
                        _step("story", "send_email", template="first-line"),
                        _wait("ten-days", 10),
                        _step("tag", "add_tag", tag="welcomed"),
                    ],
                ),
            ]
        },
    },
    {
        "slug": "after-the-webinar",
        "name": "After the webinar",
        "notes": "Slides and calculator, then a call for those who click.",
        "segment": "webinar-guests",
        "intake": "new",
        "days_before": 60,
        "tree": {
            "steps": [
                _wait("a-day", 1),
                _step("slides", "send_email", template="webinar-thanks"),
                _wait("five-days", 5),
                _step(
                    "clicked",
                    "branch",
                    conditions=_CLICKED,
                    yes=[_step("call", "create_task", title="Call: opened the downtime calculator", days=2)],
                    no=[_step("story", "send_email", template="first-line")],
                ),
            ]
        },
    },
    {
        "slug": "win-back-budget",
        "name": "Win back: no budget then",
        "notes": "A smaller first step for deals lost for want of budget.",
        "segment": "closed-lost-budget",
        "intake": "all",
        "days_before": 40,
        "tree": {
            "steps": [
                _wait("a-week", 7),
                _step("second-look", "send_email", template="winback-budget"),
                _wait("a-fortnight", 14),
                _step(
                    "back",
                    "branch",
                    conditions=_READY,
                    yes=[_step("stage", "change_stage", to="recycled"), _step("sales", "hand_to_sales")],
                    no=[_wait("a-quarter", 90)],
                ),
            ]
        },
    },
    {
        "slug": "wake-up",
        "name": "Wake up or let go",
        "notes": "Asks people who fell asleep whether we should keep writing.",
        "segment": "fallen-asleep",
        "intake": "all",
        "days_before": 12,
        "tree": {
            "steps": [
                _step("ask", "send_email", template="wake-up"),
                _wait("three-weeks", 21),
                _step(
                    "awake",
                    "branch",
                    conditions={"all": [{"did": ["page_view", "email_click"], "when": last(21)}]},
                    yes=[_step("tag", "add_tag", tag="awake again")],
                    no=[_step("quiet", "add_tag", tag="let go")],
                ),
            ]
        },
    },
)
