package manage

func (d *Desk) webhookPages() pages { return pages{} }
