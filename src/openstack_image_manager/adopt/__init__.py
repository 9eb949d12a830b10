"""Write definitions of existing images: group them, derive the fields, and format the YAML."""
