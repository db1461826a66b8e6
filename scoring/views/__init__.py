"""Pages of scoring: models and their drafts, the MQL queue, reports."""
