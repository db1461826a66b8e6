"""Files on their way in: reading.py opens them, survey.py looks through them, mapping.py says which column fills what, rows.py
converts, run.py takes them in by chunks, jobs.py lets workers do it, rejects.py writes what was not taken."""
