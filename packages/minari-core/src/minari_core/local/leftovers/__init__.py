"""What killed processes left under the root: found, described, and removed."""
