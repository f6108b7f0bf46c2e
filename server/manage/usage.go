package manage

func (d *Desk) usagePages() pages { return pages{} }
