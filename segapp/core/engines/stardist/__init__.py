"""StarDist in torch: star-shaped polygons, found without TensorFlow."""
