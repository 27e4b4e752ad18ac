"""`MinariDataset`, and what creates, combines and converts datasets."""
