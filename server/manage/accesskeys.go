package manage

func (d *Desk) accessKeyPages() pages { return pages{} }
