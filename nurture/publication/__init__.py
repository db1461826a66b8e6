"""A version goes live: what becomes of the people inside, page by page, and how it is taken back."""
