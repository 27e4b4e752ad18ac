"""The page that shows a dataset in a browser: its data, its protocol and its server."""
