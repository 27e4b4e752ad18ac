"""The root folder of the local datasets: ids, locations, namespaces, publishing."""
