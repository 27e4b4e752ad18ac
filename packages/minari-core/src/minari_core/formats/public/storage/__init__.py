"""The storage of a dataset in any public format: its folder, its episodes, and changes of them."""
