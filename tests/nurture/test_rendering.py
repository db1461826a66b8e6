"""Templates: sandboxed, bounded, with a text part; an address and a way out in every mail."""

from __future__ import annotations

import pytest

from leads.models import Contact, Workspace
from nurture.patterns import STARTERS
from nurture.rendering import BadTemplate, Mail, compile_source, context_for, one_line, to_text, unknown_placeholders
from tests.makers import make_company, make_contact, make_owner

HOME = Workspace(name="Plant & Co", postal_address="Hauptstr. 1\nBerlin", sender_name="Ada")
LINK = "https://plant.test/programs/u/1/"


def render(
    body: str, *, contact: Contact | None = None, subject: str = "S", format: str = "html", preheader: str = ""
) -> Mail:
    context = context_for(contact, workspace=HOME, unsubscribe_url=LINK)
    return compile_source(format, subject, preheader, body).fill(context)


@pytest.mark.django_db
def test_values_are_filled_and_escaped() -> None:
    person = make_contact(
        first_name="<b>Ada</b>",
        company=make_company("A & B", employees=12),
        owner=make_owner("Max Muster"),
        custom={"plan": "pro"},
    )
    mail = render(
        "{{ contact.first_name }}|{{ company.name }}|{{ company.employees }}|{{ owner.first_name }}|{{ contact.custom.plan }}",
        contact=person,
        subject="{{ contact.first_name }} & co",
    )
    assert "&lt;b&gt;Ada&lt;/b&gt;|A &amp; B|12|Max|pro" in mail.html
    assert mail.text.splitlines()[0] == "<b>Ada</b>|A & B|12|Max|pro"
    assert mail.subject == "<b>Ada</b> & co"


def test_unknown_values_take_the_default() -> None:
    mail = render(
        '{{ contact.first_name | default: "there" }} {{ company.name | default: "you" }} {{ nothing.at.all }}.'
    )
    assert "there you ." in mail.html


def test_a_way_out_and_an_address_are_added_where_they_lack() -> None:
    plain = render("<p>x</p>")
    assert plain.html.count(LINK) == 1
    assert "Hauptstr. 1<br" in plain.html
    assert f"Unsubscribe ({LINK})" in plain.text
    own = render('<p>{{ workspace.postal_address }}</p><a href="{{ unsubscribe_url }}">off</a>')
    assert own.html.count(LINK) == 1
    assert own.html.count("Hauptstr. 1") == 1


def test_the_preheader_is_hidden_and_not_in_the_text() -> None:
    mail = render("<p>x</p>", preheader="Look {{ contact.first_name }} <inside>")
    assert "Look  &lt;inside&gt;" in mail.html
    assert "Look" not in mail.text


@pytest.mark.parametrize(
    "body",
    [
        "{% for i in (1..99999999) %}x{% endfor %}",
        "{% assign a = 'xxxxxxxxxx' %}{% for i in (1..30) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "{% include 'secret' %}",
        "{% render 'secret' %}",
        "{{ 1 | divided_by: 0 }}",
        "{{ contact.first_name | safe }}",
        "{{ contact.first_name | nothing }}",
        "{% if %}",
        "{{ contact.first_name",
        "{% endif %}",
        "x" * 500_001,
    ],
)
def test_what_cannot_work_is_refused_in_words(body: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        render(body)
    assert str(caught.value)


def test_nothing_of_python_can_be_reached() -> None:
    mail = render("[{{ contact.__class__ }}{{ contact.first_name.__class__ }}{{ workspace._meta }}]")
    assert "[]" in mail.html


@pytest.mark.parametrize("body", ["<mjml><bad", "<p>no mjml</p>", "", "<mjml></mjml"])
def test_broken_mjml_is_refused_in_words(body: str) -> None:
    with pytest.raises(BadTemplate, match="MJML"):
        render(body, format="mjml")


def test_mjml_calls_nobody() -> None:
    html = render(
        "<mjml><mj-body><mj-section><mj-column><mj-text font-family='Ubuntu'>x</mj-text></mj-column></mj-section></mj-body></mjml>",
        format="mjml",
    ).html
    assert "googleapis" not in html
    assert "<script" not in html


@pytest.mark.parametrize("key", STARTERS)
def test_every_starter_is_a_mail(key: str) -> None:
    starter = STARTERS[key]
    compiled = compile_source("mjml", starter.subject, starter.preheader, starter.body)
    assert unknown_placeholders(compiled) == []
    mail = compiled.fill(context_for(None, workspace=HOME, unsubscribe_url=LINK))
    assert mail.html.count(LINK) == 1
    assert LINK in mail.text
    assert "{{" not in mail.html + mail.text + mail.subject


def test_misspelt_placeholders_are_told() -> None:
    compiled = compile_source(
        "html", "{{ contact.frist_name }}", "", "{{ contact.custom.any }} {{ compnay.name }} {{ owner.name }}"
    )
    assert unknown_placeholders(compiled) == ["compnay.name", "contact.frist_name"]


def test_text_of_html() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><h1>Head</h1><p>One <b>two</b><br>three</p><ul><li>a<li>b</ul>"
        '<a href="https://x.test/">go</a> <img alt="Bild" src="x"><script>evil()</script><!-- no --></body></html>'
    )
    assert to_text(html) == "Head\n\nOne two\nthree\n\n- a\n- b\ngo (https://x.test/) Bild\n"


def test_one_line() -> None:
    assert one_line("a\r\n b\tc\u2028d\x00") == "a b c d"
