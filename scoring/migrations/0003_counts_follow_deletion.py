"""Head-counts of rules stay exact when a contact is deleted: the cascade removes ledger rows behind the back of queries/rules.py.

A statement trigger, so that a deletion of many rows costs one UPDATE; scoring itself never deletes a ledger row.
"""

from django.db import migrations

MAKE = """
CREATE FUNCTION scoring_ledger_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scoring_rule r SET met_count = met_count - g.n
    FROM (
        SELECT model_id, rule_key, count(*) AS n
        FROM (SELECT model_id, rule_key FROM gone GROUP BY contact_id, model_id, rule_key HAVING sum(points) <> 0) met
        GROUP BY model_id, rule_key
    ) g
    JOIN scoring_scoreversion v ON v.model_id = g.model_id AND v.state = 'live'
    WHERE r.version_id = v.id AND r.key = g.rule_key;
    RETURN NULL;
END $$;
CREATE TRIGGER scoring_ledger_deleted AFTER DELETE ON scoring_ledgerrow
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION scoring_ledger_deleted();
"""

UNMAKE = """
DROP TRIGGER scoring_ledger_deleted ON scoring_ledgerrow;
DROP FUNCTION scoring_ledger_deleted();
"""


class Migration(migrations.Migration):
    dependencies = [("scoring", "0002_first_rows")]

    operations = [migrations.RunSQL(MAKE, UNMAKE)]
