"""List, download and verify whole datasets."""
