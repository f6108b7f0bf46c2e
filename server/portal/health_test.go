package portal

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsNotWellComesFirst(t *testing.T) {
	v := HealthPage{System{Parts: []SystemPart{
		{Name: "store", Status: "ok"}, {Name: "tls", Status: "off"}, {Name: "oauth", Status: "warning"}, {Name: "users", Status: "ok"}, {Name: "audit", Status: "failed"},
	}}}
	var got []string
	for _, p := range v.Parts() {
		got = append(got, p.Title()+" "+p.Pill())
	}
	if diff := cmp.Diff([]string{"Audit log bad", "OAuth caution", "Store good", "Users good", "Tls off"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, want := range []string{"1 part does not work.", "1 part needs a look.", "All parts that are in use are well."} {
		if got := v.All().Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		v.System.Parts = v.Parts()[1:]
	}
}

func TestDetailsOfAPartAreFacts(t *testing.T) {
	p := SystemPart{Details: map[string]any{
		"loaded_at": "2026-03-09T08:12:40Z", "routes": 1200.0, "bytes": 2048.0, "on": true, "ends_at": nil, "warnings": []any{"one"}, "reload_error": "line 3\u202e",
	}}
	var got []string
	for _, f := range p.Facts() {
		value := f.Text
		if f.Time != nil {
			value = f.Time.Machine()
		}
		got = append(got, f.Name+": "+value)
	}
	want := []string{
		"Memory: 2 KB", "Ends: –", "Loaded: 2026-03-09T08:12:40Z", "On: true", "Reload error: line 3", "Routes: 1,200", `Warnings: ["one"]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUptimeIsSaidInItsGreatestUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		59 * time.Second: "less than a minute", time.Minute: "1 minute", 119 * time.Minute: "119 minutes", 2 * time.Hour: "2 hours", 47 * time.Hour: "47 hours", 50 * time.Hour: "2 days",
	} {
		if got := uptime(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}
