"""The staging folder of a recording: its journal, and recovery after a crash."""
