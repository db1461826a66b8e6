"""What every instance starts with: a default score model without rules, the reasons that sales may give, and room in the pages of scores."""

from django.db import migrations
from django.utils import timezone

# slug, label, answer, where the contact goes then
REASONS = [
    ("no-budget", "No budget now", "rejected", "recycled"),
    ("no-authority", "No authority: cannot decide", "rejected", "recycled"),
    ("no-need", "No need now", "rejected", "recycled"),
    ("not-a-fit", "Not a fit for what we sell", "rejected", "disqualified"),
    ("competitor-or-student", "Competitor, student or job seeker", "rejected", "disqualified"),
    ("bad-data", "Bad contact data", "rejected", "disqualified"),
    ("too-early", "Interested, but too early", "recycled", "recycled"),
    ("not-reached", "Could not be reached", "recycled", "recycled"),
    ("contract-elsewhere", "Under contract elsewhere until later", "recycled", "recycled"),
    ("needs-nurture", "Needs to learn more first", "recycled", "recycled"),
]


def fill(apps, schema_editor):
    reason = apps.get_model("scoring", "AnswerReason")
    reason.objects.bulk_create(
        [
            reason(slug=slug, label=label, answer=answer, moves_to=moves_to, position=position)
            for position, (slug, label, answer, moves_to) in enumerate(REASONS, start=1)
        ],
        ignore_conflicts=True,
    )
    model, made = apps.get_model("scoring", "ScoreModel").objects.get_or_create(
        slug="default", defaults={"name": "Lead score", "is_default": True, "stale_since": timezone.now()}
    )
    if made:
        apps.get_model("scoring", "ScoreVersion").objects.create(
            model=model, number=1, state="live", published_at=timezone.now(), reason="Made with the instance"
        )


class Migration(migrations.Migration):
    dependencies = [("scoring", "0001_initial")]

    operations = [
        # Scores are rewritten in place: free space keeps the new row version on the same page (HOT).
        migrations.RunSQL(
            "ALTER TABLE scoring_score SET (fillfactor = 70)", "ALTER TABLE scoring_score RESET (fillfactor)"
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
