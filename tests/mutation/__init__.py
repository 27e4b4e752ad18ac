"""Whether the tests would notice a fault: small ones, put into the code one at a time.

``python -m tests.mutation`` runs it from the repository; see `tests.mutation.__main__`.
"""
