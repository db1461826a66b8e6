"""How many joined and left each segment, by quarter of an hour: kept by triggers in the transaction that writes the intervals,
whoever writes them; filled here for the intervals that exist.
"""

import django.db.models.deletion
from django.db import migrations, models

# What a set of intervals says: +1 joined in the slot of its beginning, +1 left in that of its end.
_MOVES = """
    SELECT segment_id, date_bin('15 minutes', since, 'epoch') AS slot, {sign}1 AS joined, 0 AS gone FROM {rows}
    UNION ALL SELECT segment_id, date_bin('15 minutes', until, 'epoch'), 0, {sign}1 FROM {rows} WHERE until IS NOT NULL
"""
_SUMS = """
    SELECT segment_id, slot, sum(joined) AS joined, sum(gone) AS gone FROM ({moves}) m
    GROUP BY segment_id, slot HAVING sum(joined) <> 0 OR sum(gone) <> 0 ORDER BY segment_id, slot
"""
MADE, WAS = _MOVES.format(sign="", rows="made"), _MOVES.format(sign="-", rows="was")
ALL = _MOVES.format(sign="", rows="segments_membership")
_WRITE = """
    INSERT INTO segments_membershiptally AS t (segment_id, slot, joined, gone) {sums}
    ON CONFLICT (segment_id, slot) DO UPDATE SET joined = t.joined + excluded.joined, gone = t.gone + excluded.gone
"""

# A deletion takes away from slots that are there: it must not make any for a segment that is being deleted itself.
MAKE = f"""
CREATE FUNCTION segments_tally_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM made) THEN
        RETURN NULL;
    END IF;
    {_WRITE.format(sums=_SUMS.format(moves=MADE))};
    RETURN NULL;
END $$;
CREATE TRIGGER segments_tally_made AFTER INSERT ON segments_membership
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION segments_tally_made();

CREATE FUNCTION segments_tally_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM made) THEN
        RETURN NULL;
    END IF;
    {_WRITE.format(sums=_SUMS.format(moves=f"{MADE} UNION ALL {WAS}"))};
    RETURN NULL;
END $$;
CREATE TRIGGER segments_tally_changed AFTER UPDATE ON segments_membership
    REFERENCING NEW TABLE AS made OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION segments_tally_changed();

CREATE FUNCTION segments_tally_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM segments_membershiptally t
    WHERE EXISTS (SELECT FROM ({WAS}) m WHERE m.segment_id = t.segment_id AND m.slot = t.slot)
    ORDER BY t.segment_id, t.slot FOR NO KEY UPDATE;
    UPDATE segments_membershiptally t SET joined = t.joined + m.joined, gone = t.gone + m.gone
    FROM ({_SUMS.format(moves=WAS)}) m WHERE t.segment_id = m.segment_id AND t.slot = m.slot;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_tally_deleted AFTER DELETE ON segments_membership
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION segments_tally_deleted();

{_WRITE.format(sums=_SUMS.format(moves=ALL))};
ANALYZE segments_membershiptally;
"""

UNMAKE = "".join(
    f"DROP TRIGGER segments_tally_{what} ON segments_membership; DROP FUNCTION segments_tally_{what}();"
    for what in ("made", "changed", "deleted")
)


class Migration(migrations.Migration):
    dependencies = [("segments", "0003_labels")]

    operations = [
        # the list of who left is read in this order, page by page: half a million may have left at one moment
        migrations.RemoveIndex(model_name="membership", name="segments_left"),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(
                fields=["segment", "-until", "-id"],
                condition=models.Q(until__isnull=False),
                name="segments_left",
            ),
        ),
        migrations.CreateModel(
            name="MembershipTally",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "segment_id", "slot", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("slot", models.DateTimeField()),
                ("joined", models.IntegerField()),
                ("gone", models.IntegerField()),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tallies",
                        to="segments.segment",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(MAKE, UNMAKE),
    ]
