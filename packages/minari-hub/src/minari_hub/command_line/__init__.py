"""The command line ``minari-hub``, and what the command line ``minari`` shares with it.

Nothing here is imported by ``import minari_hub``.
"""
