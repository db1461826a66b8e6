"""Templates: sandboxed, bounded, with a text part; an address and a way out in every mail."""

from __future__ import annotations

import re

import pytest

from leads.models import Company, Contact, Workspace
from nurture.patterns import STARTERS
from nurture.templating import assembly, sandbox
from nurture.templating.mail_text import to_text
from nurture.templating.placeholders import UNSUBSCRIBE, context_for
from nurture.templating.rendering import BadTemplate, Mail, compile_source, fill_words, one_line, unknown_placeholders
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
        "{{" * 200_000,
        "{% " * 150_000,
        "{% if a %}" * 5_000,
        "{% raw %}" * 50_000,
        "{{ x " + "and x " * 80_000 + "}}",
        "{% for i in (1..10000) %}" + "{% if a %}{% endif %}" * 500 + "{% endfor %}",
        "{% for i in (1..10000) %}{% endfor %}" * 1_500,
        "{% assign n = 9 %}{% for i in (1..40) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
        "{% capture a %}{% for i in (1..9000) %}xx{% endfor %}{% endcapture %}{{ a | replace: 'x', a }}",
        "{% capture a %}{% for i in (1..9000) %}x,{% endfor %}{% endcapture %}{{ a | split: ',' | uniq | join: a }}",
        "{% block %}x{% endblock %}",
        "{% block nobody %}x{% endblock %}",
        "{{ contact.first_name | date: contact }}{{ 1 | at_least: contact }}{{ 'a' | slice: 'b' }}",
    ],
)
def test_what_cannot_work_is_refused_in_words(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.1)
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


MJML = "<mjml><mj-body>%s<mj-section><mj-column>%s<mj-text>x%s</mj-text>%s</mj-column></mj-section>%s</mj-body></mjml>"


def test_liquid_may_stand_between_the_elements_of_mjml() -> None:
    body = MJML % ("{% block m %}", "{% if contact.a > 1 %}", "é {{ contact.b }}", "{% endif %}", "{% endblock %}")
    words = compile_source("mjml", "S", "", body, blocks=frozenset("m"))
    shown = [
        words.fill({"contact": {"a": a, "b": "B"}, "blocks": {"m": is_shown}, UNSUBSCRIBE: LINK})
        for a, is_shown in ((2, True), (1, True), (2, False))
    ]
    assert ["xé B" in mail.text for mail in shown] == [True, False, False]
    assert ["<td" in mail.html for mail in shown] == [True, True, False]


def test_what_mrml_would_escape_comes_back_as_it_was() -> None:
    alt = "Jo\u0301 \\ مُحَمَّد"
    image = f'<mj-image src="https://x.test/{{{{ contact.city }}}}" alt="{alt}" />'
    body = f"<mjml><mj-body><mj-section><mj-column>{image}</mj-column></mj-section></mj-body></mjml>"
    html = compile_source("mjml", "S", "", body).fill({"contact": {"city": "Köln"}}).html
    assert f'alt="{alt}"' in html
    assert 'src="https://x.test/Köln"' in html


@pytest.mark.parametrize(
    ("language", "is_right", "way_out"),
    [("ar", True, "إلغاء الاشتراك"), ("he", True, "הסרה"), ("ko", False, "수신 거부"), ("de", False, "Abmelden"), ("", False, "Unsubscribe")],
)  # fmt: skip
@pytest.mark.parametrize("format", ["mjml", "html"])
def test_the_language_turns_the_mail_and_words_its_foot(
    format: str, language: str, is_right: bool, way_out: str
) -> None:
    body = MJML % ("", "", "", "", "") if format == "mjml" else "<p>x</p>"
    html = compile_source(format, "S", "", body, language=language).fill({UNSUBSCRIBE: LINK}).html
    assert ('dir="rtl"' in html) is is_right
    assert (f'<html lang="{language}"' in html) is bool(language)
    assert way_out in html
    if format == "mjml":
        assert ("direction:rtl" in html, "text-align:right" in html) == (is_right, is_right)


def test_pasted_html_is_cleaned_and_its_rules_move_to_the_elements() -> None:
    body = (
        "<html><head><title>t</title><style>p { color: red } @media (max-width: 9px) { p { color: blue } }</style></head>"
        '<body style="margin: 0" onload="x()"><table>{% for tag in contact.tags %}<tr><td onclick="x()">{{ tag }}{% if 1 < 2 %}!{% endif %}'
        '</td></tr>{% endfor %}</table><script>evil()</script><iframe src="https://x.test"></iframe><p>a</p>'
        '<a href="javascript:x">b</a><a href="{{ unsubscribe_url }}">c</a><a href="mailto:a@x.test">d</a></body></html>'
    )
    html = compile_source("html", "S", "", body).fill({"contact": {"tags": ["t1", "t2"]}, UNSUBSCRIBE: LINK}).html
    assert "<tr><td>t1!</td></tr><tr><td>t2!</td></tr>" in html
    assert '<p style="color: red;">a</p><a>b</a>' in html
    assert f'<a href="{LINK}">c</a><a href="mailto:a@x.test">d</a>' in html
    assert "@media (max-width: 9px)" in html
    assert not [word for word in ("evil", "script", "iframe", "onclick", "onload", "<title>") if word in html]


@pytest.mark.parametrize(
    "inside", ["<script>x</script>", '<p onclick="x">y</p>', '<a href="javascript:x">y</a>', "<form></form>"]
)
def test_mjml_that_acts_is_refused(inside: str) -> None:
    with pytest.raises(BadTemplate, match="attack"):
        compile_source("mjml", "S", "", MJML % ("", "", inside, "", ""))


def test_line_ends_of_browsers_are_no_mistake() -> None:
    body = STARTERS["story"].body
    assert compile_source("mjml", "S", "", body.replace("\n", "\r\n")).fill({}) == compile_source(
        "mjml", "S", "", body
    ).fill({})


@pytest.mark.parametrize(
    ("source", "unknown", "known"),
    [
        ("{% if company.name %}at {{ company.name }}{% else %}somewhere{% endif %}", "somewhere", "at Acme"),
        ("{% unless company.name %}nowhere{% endunless %}", "nowhere", ""),
        ("{% if company.city or company.name %}y{% else %}n{% endif %}", "n", "y"),
        ("{% if company.name and company.domain %}y{% else %}n{% endif %}", "n", "n"),
        ("{% if contact.tags %}y{% elsif company.name %}e{% else %}n{% endif %}", "n", "e"),
        ('{% if company.name == "" %}y{% else %}n{% endif %}', "y", "n"),
        ("{% if company.name == blank %}y{% else %}n{% endif %}", "y", "n"),
        ("{% if company.employees %}{{ company.employees }}{% endif %}", "", "0"),
    ],
)
def test_a_condition_asks_whether_a_value_is_known(source: str, unknown: str, known: str) -> None:
    acme = Contact(company=Company(name="Acme", employees=0))
    for contact, words in ((Contact(), unknown), (acme, known)):
        context = context_for(contact, workspace=HOME, unsubscribe_url=LINK)
        assert fill_words(source, context) == words


def test_what_the_head_says_of_the_left_is_the_beginning_of_a_line() -> None:
    starter = STARTERS["story"]
    found = {tag: compile_source("mjml", "S", "", starter.body, language=tag).source for tag in ("en", "ar", "ko")}
    button = re.compile(r'<td align="(\w+)" vertical-align="middle" style="font-size:0px;padding:8px 8px 24px')
    assert {tag: button.findall(html) for tag, html in found.items()} == {
        "en": ["left"],
        "ar": ["right"],
        "ko": ["left"],
    }


def test_korean_words_are_not_broken_and_a_latin_address_keeps_its_order() -> None:
    body = STARTERS["letter"].body
    found = {tag: compile_source("mjml", "S", "", body, language=tag).source for tag in ("en", "ar", "ko")}
    assert {tag: "keep-all" in html for tag, html in found.items()} == {"en": False, "ar": False, "ko": True}
    address = '<div dir="auto">{{ workspace.name }}<br />{{ workspace.postal_address | newline_to_br }}</div>'
    assert {tag: html.count(address) for tag, html in found.items()} == {"en": 1, "ar": 1, "ko": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<mjml>\n<mj-body>\n<mj-section>", "<mj-section> in line 3 is not closed"),
        ("<mjml>\n</mjml></mj-body>", "</mj-body> in line 2 closes nothing"),
        ('<mjml><mj-body>{{ "<mj-text>" }}\n<mj-section>', "<mj-section> in line 2 is not closed"),
    ],
)
def test_a_tag_that_is_not_closed_is_named_with_its_line(body: str, words: str) -> None:
    with pytest.raises(BadTemplate, match=re.escape(words)):
        compile_source("mjml", "S", "", body)
    assert assembly.unclosed("<mj-text>x</mj-column>") == (
        "<mj-text> in line 1 is still open where </mj-column> stands in line 1"
    )
    assert assembly.unclosed(STARTERS["story"].body) == ""
