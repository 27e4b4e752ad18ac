"""Datasets of LeRobot: version 3.0 written and read, version 2.1 read."""
