"""Looking after the feature store: its catalogue, its proof, and building it from history."""
