"""What `resolve:` in a definition may say."""
