"""In which order steps are visited, how often, and which episode each of them is in."""
