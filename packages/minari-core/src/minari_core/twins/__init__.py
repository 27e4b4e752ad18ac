"""The columnar twin of a storage of whole episodes, from which rows are sampled."""
