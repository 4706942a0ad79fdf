"""The model store: the catalogue of models, and getting, verifying and keeping them."""
