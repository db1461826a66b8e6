"""The mailbox where bounces and wishes to leave arrive, read by IMAP: each mail once, then moved out of the way."""
