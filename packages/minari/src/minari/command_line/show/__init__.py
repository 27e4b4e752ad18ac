"""`minari show`: a dataset's summary, statistics and histograms in a terminal."""
