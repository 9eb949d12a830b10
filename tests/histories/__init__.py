"""Random histories of a cloud: what may happen (`world`), what must hold (`laws`, `deletions`), what a run was told
(`order`), a cloud of values (`glance`), runs on it (`planning`, `simulation`), the machine that draws (`machine`)."""
