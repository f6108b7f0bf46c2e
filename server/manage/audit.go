package manage

func (d *Desk) auditPages() pages { return pages{} }
