package manage

func (d *Desk) appPages() pages { return pages{} }
