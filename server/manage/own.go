package manage

func (d *Desk) ownPages() pages { return pages{} }
