"""A website for the tenants of clouds: which images there are for them, and all that they should know of each."""
