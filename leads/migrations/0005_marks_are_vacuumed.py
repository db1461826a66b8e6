"""The list of marks is filled and emptied all day: what a full look left of it would be read through by every beat."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("leads", "0004_jump_factor")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE leads_mark SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
            " autovacuum_vacuum_cost_delay = 0)",
            "ALTER TABLE leads_mark RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,"
            " autovacuum_vacuum_cost_delay)",
        )
    ]
