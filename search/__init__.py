"""How many configurations are tried, recorded, chosen, tested and reported; owns the command line."""
