"""What mails say: templates read, checked and filled for one person."""
