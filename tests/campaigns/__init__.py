"""Campaigns: many random misfortunes, each told by a seed and a number, and what must hold in all.

``python -m tests.campaigns`` runs them from the repository; see `tests.campaigns.__main__`.
"""
