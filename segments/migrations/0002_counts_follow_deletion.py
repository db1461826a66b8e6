"""Counts stay exact when a contact is deleted: the cascade removes intervals behind the back of segments/queries.py.

Statement triggers, so that a deletion of many rows costs one UPDATE; the turn itself never deletes an interval.
"""

from django.db import migrations

MAKE = """
CREATE FUNCTION segments_members_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE segments_segment s SET member_count = member_count - n
    FROM (SELECT segment_id, count(*) AS n FROM gone WHERE until IS NULL GROUP BY segment_id) g
    WHERE s.id = g.segment_id;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_members_deleted AFTER DELETE ON segments_membership
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION segments_members_deleted();

CREATE FUNCTION segments_assignments_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE segments_persona p SET contact_count = contact_count - n
    FROM (SELECT persona_id, count(*) AS n FROM gone WHERE until IS NULL GROUP BY persona_id) g
    WHERE p.id = g.persona_id;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_assignments_deleted AFTER DELETE ON segments_personaassignment
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION segments_assignments_deleted();
"""

UNMAKE = """
DROP TRIGGER segments_members_deleted ON segments_membership;
DROP FUNCTION segments_members_deleted();
DROP TRIGGER segments_assignments_deleted ON segments_personaassignment;
DROP FUNCTION segments_assignments_deleted();
"""


class Migration(migrations.Migration):
    dependencies = [("segments", "0001_initial")]

    operations = [migrations.RunSQL(MAKE, UNMAKE)]
