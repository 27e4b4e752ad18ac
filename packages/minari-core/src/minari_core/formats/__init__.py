"""The formats on disk: the columnar one, those of the public Minari, and their verification."""
