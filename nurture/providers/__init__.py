"""Mail providers with an interface of their own: mail leaves by it, and what became of it comes back by webhooks."""
