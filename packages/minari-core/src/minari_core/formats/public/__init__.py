"""The layouts of the public Minari: ``"hdf5"``, ``"arrow"`` and ``"parquet"``.

They are read and written through `minari_core.storage.base.Storage`, like the native format. What
lies in them is what the public Minari 0.5.4 reads; what its layouts have no place for (missing
values in infos, values of changing length, extra columns, options that are not flat) is kept
beside it, where the public Minari does not look.
"""
