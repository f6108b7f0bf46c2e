package manage

func (d *Desk) peoplePages() pages { return pages{} }
