package main

import (
	"context"
	"fmt"

	"wavegate/server"
)

// explainRequest prints why a request would be allowed or refused. It is a question
// that was answered, whatever the answer: exit code 0.
func (s *settings) explainRequest(ctx context.Context, in surroundings) int {
	if err := s.findWebDir(); err != nil {
		return fail(in, err)
	}
	lines, err := server.Explain(ctx, s.server, s.explain, s.as)
	if err != nil {
		return fail(in, err)
	}
	for i, line := range lines {
		lines[i] = plainText(line)
	}
	return printLines(in, lines)
}

// checkAudit follows the chain of the audit log from its beginning to its end.
func (s *settings) checkAudit(ctx context.Context, in surroundings) int {
	report, err := server.VerifyAudit(ctx, s.server)
	if err != nil {
		return fail(in, err)
	}
	if report.Bad != nil {
		return fail(in, fmt.Errorf("%w (entries before it that are as they were written: %d)", report.Bad, report.Entries))
	}
	lines := []string{fmt.Sprintf("The audit log is as it was written. Entries: %d.", report.Entries)}
	if report.Last > 0 {
		lines = append(lines, fmt.Sprintf("The last is number %d, with the hash %s.", report.Last, report.Hash))
	}
	return printLines(in, lines)
}
