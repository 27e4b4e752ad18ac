"""Write a dataset in the layout of LeRobot 3.0."""
