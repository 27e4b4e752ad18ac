"""What lies on disk: the columnar format, the public Minari's formats, and their verification."""
