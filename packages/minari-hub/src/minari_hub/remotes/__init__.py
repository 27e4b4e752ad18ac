"""The kinds of remotes, one module each, and the URLs that name them."""
