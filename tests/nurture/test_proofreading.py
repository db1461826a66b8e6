"""What is told of a template before it is used, where it is told, and for how many people placeholders stay empty."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads.access import MARKETER, SALES
from leads.models import Contact
from leads.workspace import workspace
from nurture import actions
from nurture.kinds import Names
from nurture.models import Template
from nurture.patterns import PATTERNS, STARTERS
from nurture.templating import proofreading, subject_rules, unresolved
from nurture.templating.proofreading import Finding
from nurture.templating.readership import readership
from nurture.templating.rendering import compiled
from nurture.views import previews
from tests.makers import NOW, make_company, make_contact, make_owner, make_segment
from tests.nurture.makers import mail, make_program, make_template, put_in
from tests.nurture.test_views import signed_in


def read(body: str = "<p>x</p>", subject: str = "Your plan", format: str = "html", **values: object) -> list[Finding]:
    return proofreading.read(Template(subject=subject, body=body, format=format, **values))


def test_a_plain_mail_leaves_nothing_to_say() -> None:
    assert read() == []


@pytest.mark.parametrize(
    ("address", "sort"),
    [
        ("", "broken_link"),
        ("#", "broken_link"),
        ("www.x.test/a", "broken_link"),
        ("/pricing", "broken_link"),
        ("htps://x.test", "broken_link"),
        ("https://https://x.test", "broken_link"),
        ("https:///x", "broken_link"),
        ("https://x .test", "broken_link"),
        ("mailto:", "broken_link"),
        ("http://x.test/a", "http_link"),
        ("https://www.example.com/story", "nowhere_link"),
        ("{{ contact.custom.link }}", "by_placeholder_link"),
    ],
)
def test_links_that_cannot_work_block_and_doubtful_ones_warn(address: str, sort: str) -> None:
    found = [finding for finding in read(f'<a href="{address}">go</a>') if finding.sort.endswith("_link")]
    assert found == [Finding(sort, {"address": address})]
    assert found[0].blocks is (sort == "broken_link")
    assert address in found[0].words


@pytest.mark.parametrize(
    "address",
    [
        "https://x.test/{{ contact.city | default: 'b' }}/é?a=1&b={% if contact.title %}1{% endif %}#top",
        "https://bücher.test/",
        "{{ unsubscribe_url }}",
        "{{ content.page.url }}",
        "#chapter",
        "mailto:ada@plant.test?subject=Hi",
        "tel:+49301234",
    ],
)
def test_links_that_work_are_not_told(address: str) -> None:
    assert [finding for finding in read(f'<a href="{address}">go</a>') if finding.sort.endswith("_link")] == []


def test_what_only_a_careful_reader_sees() -> None:
    assert [finding.sort for finding in read('<img src="https://x.test/a.png" alt="">')] == ["no_text"]
    assert [finding.sort for finding in read(has_own_text=True, text=" \n")] == ["no_text"]
    assert read(has_own_text=True, text="Words") == []
    assert read(f"<p>{'x' * 120_000}</p>")[0] == Finding("heavy", {"weight": "120"})
    assert [finding.sort for finding in read(subject=" ")] == ["no_subject"]
    assert [(finding.sort, finding.blocks) for finding in read("{% if %}")] == [("unreadable", True)]


@pytest.mark.parametrize(
    ("subject", "rules"),
    [
        ("Your plan for {{ contact.first_name | default: 'YOU AND YOU' }}", []),
        ("New: KPI and ROI of your ERP", []),
        ("A question? Yes! Really", []),
        ("LAST DAYS FOR YOUR PLAN", ["capitals"]),
        ("Look at this!!", ["marks"]),
        ("Earn money while you sleep", ["money"]),
        ("Act now: your seat", ["hurry"]),
        ("Re: our talk", ["answer"]),
        ("x" * 101, ["long"]),
        ("안녕하세요, 새로운 소식입니다", []),
        ("FREE MONEY!!! ACT NOW", ["capitals", "marks", "money", "hurry"]),
    ],
)
def test_spammy_subjects(subject: str, rules: list[str]) -> None:
    assert [rule.key for rule in subject_rules.broken(subject)] == rules
    assert [finding.about["rule"] for finding in read(subject=subject) if finding.sort == "spammy"] == rules


def test_placeholders_without_a_default() -> None:
    body = (
        '{{ contact.first_name }} {{ contact.city | upcase }} {{ contact.title | default: "you" }} {{ workspace.name }} {{ contact.oops }}'
        "{% if company.name %}at {{ company.name }}{% endif %} {% for tag in contact.tags %}{{ tag }}{% endfor %}"
        "{% assign plan = contact.custom.plan %}{{ plan }} {{ score.default.total }} {{ content.page.title }} {{ owner.name }}"
    )
    words = compiled(Template(subject="Hi {{ contact.last_name }}", body=body, format="html"))
    assert unresolved.placeholders(words) == [
        *("contact.city", "contact.custom.plan", "contact.first_name", "contact.last_name"),
        *("content.page.title", "owner.name", "score.default.total"),
    ]


def test_letters_of_ours_have_nothing_worse_than_links_to_nowhere() -> None:
    letters = [(one.subject, one.preheader, one.body) for one in STARTERS.values()]
    letters += [(one.subject, one.preheader, one.body()) for pattern in PATTERNS.values() for one in pattern.letters]
    found = [
        finding.sort
        for subject, preheader, body in letters
        for finding in proofreading.read(Template(format="mjml", subject=subject, preheader=preheader, body=body))
    ]
    assert set(found) == {"nowhere_link"}


# --- For how many people -----------------------------------------------------------------------------------------------------

PATHS = [
    "contact.first_name",
    "contact.full_name",
    "contact.custom.plan",
    "company.employees",
    "company.custom.x",
    "owner.email",
    "owner.name",
]


@pytest.mark.django_db
def test_how_many_have_no_value(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_contact(
        first_name="Ada",
        custom={"plan": "pro"},
        owner=make_owner("Max"),
        company=make_company(employees=9, custom={"x": 1}),
    )
    make_contact(first_name="", last_name="Bo", custom={"plan": None}, company=make_company())
    make_contact(first_name="", last_name="", custom={"plan": ""})
    readers = readership(make_template())
    with django_assert_num_queries(1):
        found = unresolved.count([*PATHS, "score.none.total", "content.page.title"], readers.people)
    assert found.people == 3
    assert found.lacking == dict(zip(PATHS, [2, 1, 2, 2, 2, 3, 2], strict=True)) | {
        "score.none.total": 3,
        "content.page.title": 3,
    }


@pytest.mark.django_db
def test_readers_are_the_members_of_the_segments_that_are_mailed() -> None:
    segment, template = make_segment(), make_template()
    inside, outside = make_contact(), make_contact()
    Contact.objects.create(external_id="no-address")
    put_in(segment, [inside])
    everybody = readership(template)
    assert (set(everybody.people), everybody.segments) == ({inside, outside}, ())
    make_program(mail(template), segment=segment)
    members = readership(template)
    assert (set(members.people), members.segments) == ({inside}, (segment,))


@pytest.mark.django_db
def test_the_page_tells_for_how_many_afterwards() -> None:
    template = make_template(subject="Hi {{ contact.first_name }}", body="<p>{{ contact.title | default: 'x' }}</p>")
    make_contact()
    make_contact(first_name="")
    page = signed_in(SALES).get(reverse("nurture:template-lacking", args=[template.slug]))
    assert (page.context["lacking"], page.context["people"]) == ({"contact.first_name": 1}, 2)
    assert "1 person" in page.content.decode()


# --- Where it is told --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_problems_of_a_program_tell_of_its_mails(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    template = make_template(name="Hello", subject="Hi", body='<a href="www.x.test">go</a>')
    program = make_program(mail(template, "m"), live=False)
    version = program.versions.get()
    found = actions.problems_of(version, Names())
    assert [(problem.step, problem.message, problem.blocks) for problem in found] == [
        ("m", "“Hello”: The link “www.x.test” leads nowhere: write the whole address, with https://.", True),
        ("m", proofreading.no_postal_address(), False),
    ]
    home = workspace()
    home.postal_address = "Lane 1"
    home.save()
    actions.save_template(
        template, name="Hello", subject="Hi", preheader="", format="html", body="<p>x</p>", actor=None, now=NOW
    )
    assert actions.problems_of(version, Names()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_old_templates_are_read_when_asked_for(number: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    templates = [make_template(body='<a href="www.x.test">go</a>') for _each in range(number)]
    Template.objects.update(findings=None)
    names = Names()
    with django_assert_num_queries(2):
        found = [finding.sort for template in templates for finding in names.findings(template.slug) if finding.blocks]
    assert found == ["broken_link"] * number


# --- A test to oneself -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_test_goes_to_oneself_as_a_chosen_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "TESTS_A_MINUTE", 2)
    template, person = make_template(), make_contact("zoe@x.test", first_name="Zoe")
    client, url = signed_in(MARKETER), reverse("nurture:template-test", args=[template.slug])
    me = client.get(reverse("nurture:template-list")).wsgi_request.user
    unsaved = {"contact": "zoe@x.test", "subject": template.subject, "body": "<p>other</p>", "preheader": ""}
    answer = client.post(url, unsaved, headers={"HX-Request": "true"})
    (sent,) = template.sendings.all()
    assert (sent.address, sent.contact, sent.is_test, answer.context["is_unsaved"]) == (me.email, person, True, True)  # type: ignore[union-attr]
    same = unsaved | {"body": template.body}
    assert client.post(url, same, headers={"HX-Request": "true"}).context["is_unsaved"] is False
    assert "wait a little" in client.post(url, unsaved, headers={"HX-Request": "true"}).content.decode()
    assert template.sendings.count() == 2


@pytest.mark.django_db
def test_nobody_is_taken_for_somebody_else() -> None:
    template, url = make_template(), "nurture:template-test"
    answer = signed_in(MARKETER).post(
        reverse(url, args=[template.slug]), {"contact": "nobody@x.test"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, template.sendings.count()) == (422, 0)
    assert signed_in(SALES).post(reverse(url, args=[template.slug])).status_code == 403
