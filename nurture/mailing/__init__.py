"""Mail that leaves and comes back: its bytes, the claim, the server's answers, bounces and farewells, mail to colleagues."""
