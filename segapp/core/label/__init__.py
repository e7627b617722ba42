"""Labels: markers, watershed, components, expansion."""
