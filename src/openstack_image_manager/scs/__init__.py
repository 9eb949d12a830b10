"""Check definitions and clouds against the image standards of the Sovereign Cloud Stack."""
