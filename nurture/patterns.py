"""What a new program or template may begin with: few steps that work, to be changed. Words are the company's to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

from nurture import tree

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str


@dataclass(frozen=True)
class Pattern:
    label: StrOrPromise
    document: tree.Document


@dataclass(frozen=True)
class Starter:
    """A template to begin with."""

    name: StrOrPromise
    subject: str
    preheader: str
    body: str


def _step(step_id: str, kind: str, **values: object) -> tree.Document:
    return {"id": step_id, "kind": kind, **values}


_HAS_CLICKED = {
    "did": ["email_click", "page_view", "form_submit"],
    "when": {"op": "in_last", "value": 7, "unit": "days"},
}

PATTERNS: dict[str, Pattern] = {
    "simple": Pattern(
        gettext_lazy("Three steps: mail, wait, mail"),
        {
            "steps": [
                _step("first-mail", "send_email"),
                _step("pause", "wait", **{"for": {"value": 3, "unit": "days"}}),
                _step("second-mail", "send_email"),
            ]
        },
    ),
    "ripen": Pattern(
        gettext_lazy("Warm up, then hand over: mail, wait, branch on interest, sales or one more mail"),
        {
            "steps": [
                _step("first-mail", "send_email"),
                _step("pause", "wait", **{"for": {"value": 3, "unit": "days"}}),
                _step(
                    "interested",
                    "branch",
                    conditions=_HAS_CLICKED,
                    yes=[_step("to-sales", "hand_to_sales"), _step("handed", "end", label="handed over")],
                    no=[
                        _step("tuesday", "wait", until={"days": [2], "at": "09:00", "clock": "contact"}),
                        _step("reminder", "send_email"),
                    ],
                ),
            ]
        },
    ),
    "welcome": Pattern(
        gettext_lazy("Welcome: greet, tag, ask somebody to call"),
        {
            "steps": [
                _step("greeting", "send_email"),
                _step("tag", "add_tag", tag="welcomed"),
                _step("pause", "wait", until={"days": [1, 2, 3, 4, 5], "at": "09:00", "clock": "workspace"}),
                _step("call", "create_task", title="Call and ask what they came for", days=2),
            ]
        },
    ),
    "empty": Pattern(gettext_lazy("Nothing: I build it myself"), tree.empty()),
}

_HEAD = """<mjml>
  <mj-head>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="1.6" color="#1d2939" />
      <mj-button background-color="#0f7657" color="#ffffff" border-radius="6px" font-size="16px" inner-padding="12px 24px" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="#f4f6f5">
"""
_FOOT = """    <mj-section padding="8px 0 24px">
      <mj-column>
        <mj-text align="center" font-size="12px" color="#667085">
          {{ workspace.name }}<br />{{ workspace.postal_address | newline_to_br }}<br />
          <a href="{{ preferences_url }}" style="color:#667085">Preferences</a> ·
          <a href="{{ unsubscribe_url }}" style="color:#667085">Unsubscribe</a>
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""

# Written by the product when somebody is asked to confirm; the company may put it in its own words afterwards.
CONFIRMATION = Starter(
    gettext_lazy("Please confirm (double opt-in)"),
    "Please confirm: {{ purposes }}",
    "One press, and you are on the list.",
    _HEAD
    + """    <mj-section background-color="#ffffff" border-radius="8px" padding="24px 8px">
      <mj-column>
        <mj-text font-size="24px" line-height="1.3" font-weight="700">Is this you?</mj-text>
        <mj-text>
          Somebody, we hope you, asked {{ workspace.name }} to write to this address about: {{ purposes }}.
          Press the button and say yes on the page that opens.
        </mj-text>
        <mj-button href="{{ confirm_url }}">Yes, write to me</mj-button>
        <mj-text font-size="14px" color="#667085">
          The link works once, for seven days. If it was not you, do nothing: we will not write again.
        </mj-text>
        <mj-text font-size="12px" color="#667085" align="center">
          {{ workspace.name }}<br />{{ workspace.postal_address | newline_to_br }}
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
""",
)

STARTERS: dict[str, Starter] = {
    "letter": Starter(
        gettext_lazy("A letter: plain words from one person"),
        'A question, {{ contact.first_name | default: "if you have a minute" }}',
        "It takes one minute to answer.",
        _HEAD
        + """    <mj-section background-color="#ffffff" border-radius="8px" padding="24px 8px">
      <mj-column>
        <mj-text>Hello {{ contact.first_name | default: "there" }},</mj-text>
        <mj-text>
          you looked at our product lately. What made you look{% if company.name %},
          and what does {{ company.name }} use today{% endif %}?
        </mj-text>
        <mj-text>Just answer this mail; I read every one.</mj-text>
        <mj-text>{{ owner.name | default: workspace.sender_name }}<br />{{ workspace.name }}</mj-text>
      </mj-column>
    </mj-section>
"""
        + _FOOT,
    ),
    "story": Starter(
        gettext_lazy("A story with one button"),
        "How others solved it",
        "Three minutes to read.",
        _HEAD
        + """    <mj-section background-color="#ffffff" border-radius="8px 8px 0 0" padding="24px 8px 0">
      <mj-column>
        <mj-text font-size="24px" line-height="1.3" font-weight="700">The headline says what the reader wins</mj-text>
        <mj-text>
          Hello {{ contact.first_name | default: "there" }},
          here is what changed for a company like {{ company.name | default: "yours" }}.
        </mj-text>
      </mj-column>
    </mj-section>
    <mj-section background-color="#ffffff" padding="0 8px">
      <mj-column>
        <mj-text>Before: say in one sentence what hurt.</mj-text>
      </mj-column>
      <mj-column>
        <mj-text>After: say in one sentence, with a number, what is better now.</mj-text>
      </mj-column>
    </mj-section>
    <mj-section background-color="#ffffff" border-radius="0 0 8px 8px" padding="0 8px 24px">
      <mj-column>
        <mj-button href="https://www.example.com/story">Read the story</mj-button>
      </mj-column>
    </mj-section>
"""
        + _FOOT,
    ),
    "invitation": Starter(
        gettext_lazy("An invitation with a date"),
        "You are invited",
        "Save the date.",
        _HEAD
        + """    <mj-section background-color="#0f7657" border-radius="8px 8px 0 0" padding="24px 8px">
      <mj-column>
        <mj-text color="#ffffff" font-size="13px">Webinar · 45 minutes</mj-text>
        <mj-text color="#ffffff" font-size="24px" line-height="1.3" font-weight="700">What you will be able to do afterwards</mj-text>
      </mj-column>
    </mj-section>
    <mj-section background-color="#ffffff" border-radius="0 0 8px 8px" padding="8px 8px 24px">
      <mj-column>
        <mj-text>Hello {{ contact.first_name | default: "there" }}, we show it live and answer every question.</mj-text>
        <mj-button href="https://www.example.com/webinar">Keep me a seat</mj-button>
      </mj-column>
    </mj-section>
"""
        + _FOOT,
    ),
}
