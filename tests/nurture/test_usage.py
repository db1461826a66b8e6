"""Fields that mails and programs name cannot go."""

from __future__ import annotations

import pytest

from leads import vocabulary
from leads.models import CustomField
from leads.usage import uses
from nurture.models import Program, ProgramVersion, Template
from nurture.templating.usage import fields_named
from tests.makers import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Dear {{ contact.first_name | default: 'you' }}", {"contact.first_name"}),
        ("{% if contact.custom.plan == 'pro' %}{{ company.custom[\"seats\"] }}{% endif %}", {"contact.custom.plan", "company.custom.seats"}),
        ("contact us at mycontact.customers or contact.", set()),
        ("{{ contact.custom }}", {"contact.custom"}),
    ],
)  # fmt: skip
def test_placeholders_name_fields(text: str, keys: set[str]) -> None:
    assert fields_named(text) == keys


def test_a_field_in_a_mail_cannot_be_deleted() -> None:
    field = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    mail = Template.objects.create(
        slug="hello", name="Hello", subject="{{ contact.custom.plan }}", body="<p>x</p>", format="html"
    )
    with pytest.raises(vocabulary.InUse) as refused:
        vocabulary.delete_custom_field(field, actor=None, now=NOW)
    assert str(refused.value) == "“Plan” is used by: e-mail “Hello”. Change these first."
    Template.objects.filter(pk=mail.pk).update(archived_at=NOW)
    vocabulary.delete_custom_field(field, actor=None, now=NOW)


def test_steps_that_write_count_as_uses() -> None:
    program = Program.objects.create(slug="welcome", name="Welcome")
    steps = [
        {"id": "s1", "kind": "add_tag", "tag": "Welcomed"},
        {"id": "s2", "kind": "change_stage", "to": "mql"},
        {"id": "s3", "kind": "set_field", "field": "custom.plan", "value": "pro"},
    ]
    ProgramVersion.objects.create(program=program, number=1, tree={"steps": steps})
    found = uses()
    for key in ("tag:welcomed", "stage:mql", "contact.custom.plan"):
        assert [use.label for use in found[key]] == ["Welcome"], key
