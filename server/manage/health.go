package manage

func (d *Desk) healthPages() pages { return pages{} }
