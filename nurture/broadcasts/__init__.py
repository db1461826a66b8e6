"""One-off mails to segments: written, counted, looked over, sent in pages by a worker, and what came of them."""
