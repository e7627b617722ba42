"""Training of the bundled network: segapp-nuclei."""
