"""What a new template may begin with: a mail that works, to be put in the company's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str


@dataclass(frozen=True)
class Starter:
    """A template to begin with."""

    name: StrOrPromise
    subject: str
    preheader: str
    body: str


# One scale for all: 24 for the headline, 18 below it, 16 to read, 14 and 12 beside; 24 at the sides, 16 between. The ground of sections is
# white, so that whatever is added fits. What says left here is the beginning of a line: right in Arabic (assembly.py).
HEAD = """<mjml>
  <mj-head>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-section background-color="#ffffff" padding="0 16px" />
      <mj-text font-size="16px" line-height="1.6" color="#1d2939" padding="0 8px 16px" />
      <mj-button align="left" background-color="#0f7657" color="#ffffff" border-radius="6px" font-size="16px" font-weight="700"
        inner-padding="14px 28px" padding="8px 8px 24px" />
      <mj-image padding="0 8px 16px" />
      <mj-table font-size="16px" line-height="1.6" color="#1d2939" padding="0 8px 16px" />
      <mj-divider border-width="1px" border-color="#d0d5dd" padding="8px 8px 24px" />
    </mj-attributes>
    <mj-style>a { color: #0f7657; }</mj-style>
  </mj-head>
  <mj-body background-color="#f4f6f5">
    <mj-section background-color="#f4f6f5" padding="24px 16px 0">
      <mj-column>
        <mj-text font-size="14px" font-weight="700" color="#0f7657">{{ workspace.name }}</mj-text>
      </mj-column>
    </mj-section>
"""
FOOT = """    <mj-section background-color="#f4f6f5" padding="24px 16px">
      <mj-column>
        <mj-text align="center" font-size="12px" color="#5b6678">
          <div dir="auto">{{ workspace.name }}<br />{{ workspace.postal_address | newline_to_br }}</div>
        </mj-text>
        <mj-text align="center" font-size="12px" color="#5b6678">
          <a href="{{ preferences_url }}" style="color:#5b6678">Preferences</a> ·
          <a href="{{ unsubscribe_url }}" style="color:#5b6678">Unsubscribe</a>
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""

# What a mail in a layout begins with.
BARE = """<mj-section border-radius="8px" padding="32px 16px 16px">
  <mj-column>
    <mj-text>Hello {{ contact.first_name | default: "there" }},</mj-text>
    <mj-text>this is where the words of the mail stand.</mj-text>
    <mj-text>{{ owner.name | default: workspace.sender_name }}<br />{{ workspace.name }}</mj-text>
  </mj-column>
</mj-section>
"""

# Written by the product when somebody is asked to confirm; the company may put it in its own words afterwards.
CONFIRMATION = Starter(
    gettext_lazy("Please confirm (double opt-in)"),
    "Please confirm: {{ purposes }}",
    "One press, and you are on the list.",
    HEAD
    + """    <mj-section border-radius="8px" padding="32px 16px 16px">
      <mj-column>
        <mj-text font-size="24px" line-height="1.3" font-weight="700">Is this you?</mj-text>
        <mj-text>
          Somebody, we hope you, asked {{ workspace.name }} to write to this address about: {{ purposes }}.
          Press the button and say yes on the page that opens.
        </mj-text>
        <mj-button href="{{ confirm_url }}">Yes, write to me</mj-button>
        <mj-text font-size="14px" color="#5b6678">
          The link works once, for seven days. If it was not you, do nothing: we will not write again.
        </mj-text>
      </mj-column>
    </mj-section>
    <mj-section background-color="#f4f6f5" padding="24px 16px">
      <mj-column>
        <mj-text align="center" font-size="12px" color="#5b6678">
          <div dir="auto">{{ workspace.name }}<br />{{ workspace.postal_address | newline_to_br }}</div>
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
        HEAD
        + """    <mj-section border-radius="8px" padding="32px 16px 16px">
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
        + FOOT,
    ),
    "story": Starter(
        gettext_lazy("A story with one button"),
        "How others solved it",
        "Three minutes to read.",
        HEAD
        + """    <mj-section border-radius="8px 8px 0 0" padding="32px 16px 8px">
      <mj-column>
        <mj-text font-size="24px" line-height="1.3" font-weight="700">The headline says what the reader wins</mj-text>
        <mj-text>
          Hello {{ contact.first_name | default: "there" }},
          here is what changed at a company like {{ company.name | default: "yours" }}:
        </mj-text>
      </mj-column>
    </mj-section>
    <mj-section>
      <mj-column>
        <mj-text font-size="18px" line-height="1.4" font-weight="700" padding="0 8px 4px">Before</mj-text>
        <mj-text>Say in one sentence what hurt.</mj-text>
      </mj-column>
      <mj-column>
        <mj-text font-size="18px" line-height="1.4" font-weight="700" padding="0 8px 4px">After</mj-text>
        <mj-text>Say in one sentence, with a number, what is better now.</mj-text>
      </mj-column>
    </mj-section>
    <mj-section border-radius="0 0 8px 8px" padding="0 16px 8px">
      <mj-column>
        <mj-button href="https://www.example.com/story">Read the story</mj-button>
      </mj-column>
    </mj-section>
"""
        + FOOT,
    ),
    "newsletter": Starter(
        gettext_lazy("A newsletter with three pieces"),
        "Three things worth your time",
        "What is new, what others did, what comes next.",
        HEAD
        + """    <mj-section border-radius="8px 8px 0 0" padding="32px 16px 0">
      <mj-column>
        <mj-text font-size="24px" line-height="1.3" font-weight="700">What is new this month</mj-text>
        <mj-text>Hello {{ contact.first_name | default: "there" }}, in one sentence: why this one is worth opening.</mj-text>
        <mj-button href="https://www.example.com/new">Read on</mj-button>
      </mj-column>
    </mj-section>
    <mj-section>
      <mj-column>
        <mj-divider />
      </mj-column>
    </mj-section>
    <mj-section border-radius="0 0 8px 8px" padding="0 16px 16px">
      <mj-column>
        <mj-text font-size="18px" line-height="1.4" font-weight="700" padding="0 8px 4px">What others did</mj-text>
        <mj-text>Two sentences and a number. <a href="https://www.example.com/story">The whole story</a></mj-text>
      </mj-column>
      <mj-column>
        <mj-text font-size="18px" line-height="1.4" font-weight="700" padding="0 8px 4px">What comes next</mj-text>
        <mj-text>The date, and what the reader gets. <a href="https://www.example.com/dates">All dates</a></mj-text>
      </mj-column>
    </mj-section>
"""
        + FOOT,
    ),
    "invitation": Starter(
        gettext_lazy("An invitation with a date"),
        "You are invited",
        "Save the date.",
        HEAD
        + """    <mj-section background-color="#0f7657" border-radius="8px 8px 0 0" padding="32px 16px 16px">
      <mj-column>
        <mj-text color="#ffffff" font-size="14px" padding="0 8px 4px">Webinar · 45 minutes</mj-text>
        <mj-text color="#ffffff" font-size="24px" line-height="1.3" font-weight="700">What you will be able to do afterwards</mj-text>
      </mj-column>
    </mj-section>
    <mj-section border-radius="0 0 8px 8px" padding="32px 16px 8px">
      <mj-column>
        <mj-text>Hello {{ contact.first_name | default: "there" }}, we show it live and answer every question.</mj-text>
        <mj-text><b>When:</b> the day, the hour and whose clock<br /><b>Where:</b> on your screen; the link comes by mail</mj-text>
        <mj-button href="https://www.example.com/webinar">Keep me a seat</mj-button>
      </mj-column>
    </mj-section>
"""
        + FOOT,
    ),
}
