"""What the folder of a dataset of LeRobot holds: features, tasks, numbered files, a sidecar."""
