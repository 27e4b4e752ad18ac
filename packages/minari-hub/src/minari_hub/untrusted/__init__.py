"""Names, JSON and summaries from a remote, checked before they are used."""
