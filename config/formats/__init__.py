"""How dates are written where Django's own format of a language would be read in two ways (11/04/2026)."""
