package manage

func (d *Desk) policyPages() pages { return pages{} }
