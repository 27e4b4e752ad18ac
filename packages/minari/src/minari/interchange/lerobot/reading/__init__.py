"""Read datasets of LeRobot 3.0 and 2.1, also those that LeRobot itself wrote."""
