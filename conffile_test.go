package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseConf(t *testing.T) {
	type lines = []confLine
	tests := map[string]struct {
		in   string
		want lines
	}{
		"empty":                    {"", nil},
		"plain":                    {"A=b\nC=d", lines{{1, "A", "b"}, {2, "C", "d"}}},
		"CRLF":                     {"A=b\r\nC=d\r\n", lines{{1, "A", "b"}, {2, "C", "d"}}},
		"byte order mark":          {"\ufeffA=b\n", lines{{1, "A", "b"}}},
		"comments and blank lines": {"# x\n\n  # y\nA=b # c\nB=c#d\nC=#x\nD=\t#x", lines{{4, "A", "b"}, {5, "B", "c#d"}, {6, "C", ""}, {7, "D", ""}}},
		"export":                   {"export A=b\nexport\tC=d\nexport=e\nexported=f", lines{{1, "A", "b"}, {2, "C", "d"}, {3, "export", "e"}, {4, "exported", "f"}}},
		"blanks":                   {"  A = b c  \n", lines{{1, "A", "b c"}}},
		"equals signs":             {"A=b=c", lines{{1, "A", "b=c"}}},
		"empty value":              {"A=\nB=''\nC=\"\"", lines{{1, "A", ""}, {2, "B", ""}, {3, "C", ""}}},
		"single quotes":            {`A='b # "c" \n $d' # e`, lines{{1, "A", `b # "c" \n $d`}}},
		"double quotes":            {`A="b\n\t\"c\" \\ \$d \x"`, lines{{1, "A", "b\n\t\"c\" \\ $d \\x"}}},
		"nothing is substituted":   {`A=$B` + "\n" + `C="${D}"`, lines{{1, "A", "$B"}, {2, "C", "${D}"}}},
		"several lines":            {"A=\"b\nC=x\n\"\nD='e\nf'\nG=h", lines{{1, "A", "b\nC=x\n"}, {4, "D", "e\nf"}, {6, "G", "h"}}},
		"quotes inside":            {`A=b"c"`, lines{{1, "A", `b"c"`}}},
	}
	for name, tt := range tests {
		got, bad := parseConf(tt.in)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(confLine{})); diff != "" || bad != nil {
			t.Errorf("%s: (-want +got)\n%s bad: %v", name, diff, bad)
		}
	}
}

func TestParseConfNamesBadLinesAndGoesOn(t *testing.T) {
	in := "A=b\nlisten: 80\nWAVEGATE_X\n=x\nB='c' d\nC=\"never\nD='never\nE=f"
	good, bad := parseConf(in)
	wantGood := []confLine{{1, "A", "b"}, {8, "E", "f"}}
	wantBad := []badLine{
		{2, "listen", "it is not KEY=value"},
		{3, "WAVEGATE_X", "it is not KEY=value"},
		{4, "", "it is not KEY=value"},
		{5, "B", "there is text behind the closing quote"},
		{6, "C", "the quote is never closed"},
		{7, "D", "the quote is never closed"},
	}
	if diff := cmp.Diff(wantGood, good, cmp.AllowUnexported(confLine{})); diff != "" {
		t.Errorf("good lines (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(wantBad, bad, cmp.AllowUnexported(badLine{})); diff != "" {
		t.Errorf("bad lines (-want +got)\n%s", diff)
	}
}

func FuzzParseConf(f *testing.F) {
	for _, in := range []string{"A=b", "export A='b\nc' # d\r\n", "A=\"b\\\"\n", "\ufeff# x\n=\n'", "A=\"\\\nB='\"\nC=d"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		rows := strings.Count(in, "\n") + 1
		good, bad := parseConf(in)
		last := 0
		for _, line := range good {
			if line.number <= last || line.number > rows || line.key == "" {
				t.Errorf("line %+v behind line %d of %d", line, last, rows)
			}
			last = line.number
		}
		for _, line := range bad {
			if line.number < 1 || line.number > rows || line.why == "" {
				t.Errorf("bad line %+v of %d", line, rows)
			}
		}
		// What was read survives being written down again.
		var b strings.Builder
		for _, line := range good {
			if strings.Contains(line.value, "'") {
				return
			}
			b.WriteString(line.key + "='" + line.value + "'\n")
		}
		again, bad := parseConf(b.String())
		for i := range again {
			again[i].number = good[i].number
		}
		if diff := cmp.Diff(good, again, cmp.AllowUnexported(confLine{})); diff != "" || bad != nil {
			t.Errorf("read again (-want +got)\n%s bad: %v", diff, bad)
		}
	})
}
