"""AWS adapters of the domain: stores, models, configuration. Every store also has an in-memory twin."""
