"""Find, describe and remove what killed processes left under the datasets' root."""
