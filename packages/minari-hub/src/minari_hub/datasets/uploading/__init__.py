"""Upload whole datasets: what is held of one, what a remote has of it, and what is sent."""
