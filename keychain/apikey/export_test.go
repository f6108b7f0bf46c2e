package apikey

// Expiring is how many keys wait for their expiry.
func (m *Manager) Expiring() int {
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	return m.memory.expiries.Len()
}
