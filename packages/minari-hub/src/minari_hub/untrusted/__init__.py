"""Names, JSON and summaries that a remote sends, validated before they are used."""
