"""The formats of the public Minari: ``"hdf5"``, ``"arrow"`` and ``"parquet"``.

They are read and written through `minari_core.storage.base.Storage`, like the native format, and
the public Minari 0.5.4 reads them. What they cannot hold (missing values in infos, values of
changing length, extra columns, options that are not flat) is stored in a sidecar that the public
Minari ignores.
"""
