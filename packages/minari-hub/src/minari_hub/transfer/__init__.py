"""Bytes on their way: objects, checksums, partial files, retries and threads."""
