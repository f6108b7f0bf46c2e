package session

// Watch is what Run does each second.
func (m *Manager) Watch() { m.watch() }
