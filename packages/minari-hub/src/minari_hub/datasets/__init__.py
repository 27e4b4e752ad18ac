"""List, download and upload whole datasets."""
