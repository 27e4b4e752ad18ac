"""What samplers read, as keywords of a dataset's methods and as the options made of them."""
