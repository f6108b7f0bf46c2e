package session

import "context"

// EndUnless ends the sessions in use here that keep does not keep, after who
// vouches for people changed. Sessions that nobody uses are left for keep to be
// asked when they are used again.
func (m *Manager) EndUnless(ctx context.Context, keep func(*Record) bool) error {
	var ids []string
	m.memory.each(func(s *Session) {
		if r := s.Record(); !keep(r) {
			ids = append(ids, r.ID)
		}
	})
	for _, id := range ids {
		if _, err := m.End(ctx, Filter{ID: id}); err != nil {
			return err
		}
	}
	return nil
}
