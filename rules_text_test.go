package main_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	tableRow = regexp.MustCompile(`(?m)^\|(.+)\|$`)
	codeSpan = regexp.MustCompile("`([^`]+)`")
)

// tableRows returns the cells of the rows below the given heading whose first
// cell is a code span; a heading, the end of the file or text ends nothing else.
func tableRows(t *testing.T, file, heading string) [][]string {
	t.Helper()
	_, section, found := strings.Cut(read(t, file), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s: no heading %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	var rows [][]string
	for _, m := range tableRow.FindAllStringSubmatch(section, -1) {
		cells := strings.Split(m[1], "|")
		if name := codeSpan.FindStringSubmatch(cells[0]); name != nil {
			cells[0] = name[1]
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s: no table under %q", file, heading)
	}
	return rows
}

// testNoLooseEnds finds marks of work that was put off.
func testNoLooseEnds(t *testing.T) {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)
	texts := []string{".go", ".md", ".yaml", ".yml", ".html", ".css", ".js", ".txt", ".txtar", ".lua", ".cfg", ".conf"}
	for _, name := range treeFiles(t) {
		if ext := path.Ext(name); ext != "" && !slices.Contains(texts, ext) {
			continue
		}
		for i, line := range strings.Split(read(t, name), "\n") {
			if m := mark.FindString(line); m != "" {
				t.Errorf("%s:%d: %s: finish it, or write it down as an issue", name, i+1, m)
			}
		}
	}
}

func testChangelog(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^## (Unreleased|v?\d+\.\d+\.\d+)`)
	if !heading.MatchString(read(t, "CHANGELOG.md")) {
		t.Error(`CHANGELOG.md has no heading "## Unreleased" or "## 1.2.3"`)
	}
}

var (
	fence      = regexp.MustCompile("(?ms)^```.*?^```")
	markdownTo = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	htmlTo     = regexp.MustCompile(`(?:src|href|srcset)="([^"]+)"`)
	title      = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// testLinks follows every relative link of the Markdown files to a file and,
// where it names one, to a heading of that file.
func testLinks(t *testing.T) {
	for _, name := range treeFiles(t) {
		if path.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		text := fence.ReplaceAllString(read(t, name), "")
		for _, m := range slices.Concat(markdownTo.FindAllStringSubmatch(text, -1), htmlTo.FindAllStringSubmatch(text, -1)) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			testLink(t, name, m[1])
		}
	}
}

func testLink(t *testing.T, from, link string) {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	to := from
	if file != "" {
		to = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("%s: link to %s, which is not there", from, link)
		return
	}
	if anchor == "" || path.Ext(to) != ".md" {
		return
	}
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(read(t, to), ""), -1) {
		slug := strings.ToLower(notInSlug.ReplaceAllString(m[1], ""))
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return
		}
	}
	t.Errorf("%s: link to %s: %s has no such heading", from, link, to)
}
