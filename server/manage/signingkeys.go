package manage

func (d *Desk) signingKeyPages() pages { return pages{} }
