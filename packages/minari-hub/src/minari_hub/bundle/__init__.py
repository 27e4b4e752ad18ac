"""What is published beside a dataset for those who do not use Minari: tables, Croissant, CFF."""
