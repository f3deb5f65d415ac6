"""What would go wrong with a search: a module of checks for each thing it stands on; ``search.doctor`` runs them."""
