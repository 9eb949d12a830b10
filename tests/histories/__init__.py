"""Random histories of a cloud: what may happen (`world`), what must hold (`laws`), a cloud of values (`simulation`) and
the machine that draws them (`machine`)."""
