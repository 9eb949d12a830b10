"""The standards of the Sovereign Cloud Stack about images, and what definitions and clouds make of them."""
