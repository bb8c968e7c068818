"""The benchmark's own problems: classics, and three families that behave like merging."""
