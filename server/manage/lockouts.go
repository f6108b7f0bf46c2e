package manage

func (d *Desk) lockoutPages() pages { return pages{} }
