"""What is known of the values of columns, and normalizing by it."""
