"""What every instance starts with: stages, kinds of activity with a meaning of their own, and the three roles."""

from django.db import migrations

STAGES = [
    ("visitor", "Visitor", 1, False),
    ("subscriber", "Subscriber", 2, False),
    ("inquiry", "Inquiry", 3, False),
    ("mql", "MQL", 4, False),
    ("accepted", "Accepted", 5, False),
    ("opportunity", "Opportunity", 6, False),
    ("customer", "Customer", 7, False),
    ("advocate", "Advocate", 8, False),
    ("recycled", "Recycled", 9, True),
    ("lost", "Lost", 10, True),
    ("disqualified", "Disqualified", 11, True),
]
KINDS = [
    ("page_view", "Page view"),
    ("form_submit", "Form submitted"),
    ("newsletter_subscribed", "Newsletter subscribed"),
    ("download", "Download"),
    ("video_watched", "Video watched"),
    ("webinar_registered", "Webinar registered"),
    ("webinar_attended", "Webinar attended"),
    ("demo_booked", "Demo booked"),
    ("meeting", "Meeting"),
    ("call", "Call"),
    ("reply", "Reply"),
    ("purchase", "Purchase"),
    ("email_sent", "E-mail sent"),
    ("email_delivered", "E-mail delivered"),
    ("email_open", "E-mail opened"),
    ("email_click", "E-mail clicked"),
    ("email_bounce", "E-mail bounced"),
    ("email_complaint", "E-mail complaint"),
    ("email_unsubscribe", "Unsubscribed by e-mail"),
]


def fill(apps, schema_editor):
    stage = apps.get_model("leads", "Stage")
    kind = apps.get_model("leads", "ActivityKind")
    stage.objects.bulk_create(
        [stage(slug=slug, label=label, position=position, is_detour=detour) for slug, label, position, detour in STAGES],
        ignore_conflicts=True,
    )
    kind.objects.bulk_create(
        [kind(slug=slug, label=label, is_custom=False) for slug, label in KINDS], ignore_conflicts=True
    )
    for name in ("Marketer", "Sales", "Admin"):
        apps.get_model("auth", "Group").objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("leads", "0002_activity_partitions"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
