"""Plans: the difference between the images wanted and the images found."""
