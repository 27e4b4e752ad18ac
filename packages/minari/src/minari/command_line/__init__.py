"""The command line ``minari``: that of ``minari-hub``, and what needs local datasets.

Nothing here is imported by ``import minari``.
"""
